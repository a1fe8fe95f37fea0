import type { OnnxNode } from '../onnx/index.js';
import { isComparison } from '../graph/formula.js';
import type { Geometry } from '../graph/geometry.js';
import { isIdentity, type Layout } from '../graph/layout.js';
import { sameShape, sizeOf, type Constant } from './constant.js';
import type { ScalarOp } from '../graph/scalar.js';

/**
 * A model between ONNX and the canonical graph: every tensor has a known shape, everything constant is folded, all
 * layout ops are one (`view`), subtraction and division are written as `add`, `mul` and `reciprocal`, and composite
 * operators are taken apart. Idioms are matched on this form, so each has to be written only once.
 */
export type Expr = ConstantExpr | ImageExpr | ViewExpr | OperationExpr | SequenceExpr;

interface ExprBase {
  readonly shape: readonly number[];
  /** The ONNX node it comes from; null for graph inputs and initializers. */
  readonly origin: OnnxNode | null;
  /** The ONNX tensor that it equals, '' inside of what one node stands for. Set once, when the node is done. */
  tensor: string;
}

export interface ConstantExpr extends ExprBase {
  readonly op: 'constant';
  readonly value: Constant;
}

/** The model's input, [1, channels, height, width]. */
export interface ImageExpr extends ExprBase {
  readonly op: 'image';
}

/** An exact rearrangement of the sources' elements; sources are never views themselves. */
export interface ViewExpr extends ExprBase {
  readonly op: 'view';
  readonly sources: readonly Expr[];
  readonly layout: Layout;
  /** Where the view only repeats a smaller tensor along axes, as Expand does: that tensor. */
  readonly broadcastOf: Expr | null;
}

/** A list of tensors, as a split into parts makes; what takes one out of it gives the tensor itself. */
export interface SequenceExpr extends ExprBase {
  readonly op: 'sequence';
  readonly parts: readonly Expr[];
}

export interface OperationExpr extends ExprBase {
  readonly op: Operation;
  readonly inputs: readonly Expr[];
  readonly attributes: Attributes;
}

/**
 * `matmul` multiplies the last two axes and broadcasts the others; `mean`, `sum` and `maximum` reduce `axes`, keeping
 * them with length 1; comparisons give 0 or 1, and `where` the second input unless the first is 0; `softmax` acts along
 * the last axis; `normalize` is LayerNorm over the last axis without its factors; `conv` is a convolution over two
 * axes; `maxPool` and `mixRows` act on the rows of a matrix [pixels, channels].
 */
export type Operation =
  | ScalarOp
  | 'add'
  | 'mul'
  | 'max'
  | 'min'
  | 'greater'
  | 'greaterOrEqual'
  | 'equal'
  | 'where'
  | 'matmul'
  | 'softmax'
  | 'normalize'
  | 'mean'
  | 'sum'
  | 'maximum'
  | 'conv'
  | 'maxPool'
  | 'mixRows';

export interface Attributes {
  readonly axes?: readonly number[];
  readonly epsilon?: number;
  readonly exponent?: number;
  readonly strides?: readonly number[];
  readonly pads?: readonly number[];
  readonly dilations?: readonly number[];
  /** Of a convolution: how many groups of channels it has. */
  readonly group?: number;
  readonly geometry?: Geometry;
  readonly mix?: Mix;
}

/** Rows that are weighted sums of rows. */
export interface Mix {
  readonly taps: number;
  /** [rows, taps]; −1: none. */
  readonly index: Int32Array;
  /** [rows, taps]. */
  readonly factors: Float32Array;
}

export const isOperation = (expr: Expr, op: Operation): expr is OperationExpr => expr.op === op;

export const isConstant = (expr: Expr): expr is ConstantExpr => expr.op === 'constant';

/** The one number a constant holds, or null where `expr` is no constant or holds several. */
export function scalarValue(expr: Expr): number | null {
  return expr.op === 'constant' ? expr.value.uniform : null;
}

/** Idioms compare a few steps; expressions that differ only far below are taken as different. */
const MAX_COMPARED_DEPTH = 12;

/** True where two expressions compute the same value by the same steps. */
export function sameExpr(a: Expr, b: Expr, depth = 0): boolean {
  if (a === b) return true;
  if (depth > MAX_COMPARED_DEPTH) return false;
  if (a.op !== b.op || !sameShape(a.shape, b.shape)) return false;
  if (a.op === 'constant' && b.op === 'constant') {
    if (a.value.size > 4096) return a.value === b.value;
    const x = a.value.data;
    const y = b.value.data;
    return x.every((value, i) => value === y[i]);
  }
  if (a.op === 'view' && b.op === 'view')
    return (
      a.sources.length === b.sources.length &&
      a.layout.piece === b.layout.piece &&
      a.layout.index.length === b.layout.index.length &&
      a.layout.index.every((from, i) => from === b.layout.index[i]) &&
      a.sources.every((source, i) => sameExpr(source, b.sources[i], depth + 1))
    );
  if ('inputs' in a && 'inputs' in b)
    return (
      a.inputs.length === b.inputs.length &&
      sameAttributes(a.attributes, b.attributes) &&
      a.inputs.every((input, i) => sameExpr(input, b.inputs[i], depth + 1))
    );
  return false;
}

const sameAttributes = (a: Attributes, b: Attributes): boolean =>
  a === b || (!a.mix && !b.mix && JSON.stringify(a) === JSON.stringify(b));

/** True where a view only gives its one source another shape. */
export const isReshape = (view: ViewExpr): boolean =>
  view.sources.length === 1 && isIdentity(view.layout, sizeOf(view.sources[0].shape));

/** Whether all of a tensor's elements are 0 or 1 by the way it is made. */
export function isTruth(x: Expr): boolean {
  if (x.op === 'view') return x.sources.every(isTruth);
  if (isConstant(x)) return x.value.kind === 'bool';
  if (!('inputs' in x)) return false;
  return isComparison(x.op) || ((x.op === 'mul' || x.op === 'max') && x.inputs.every(isTruth));
}
