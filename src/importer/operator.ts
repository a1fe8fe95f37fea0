import { InputError } from '../errors.js';
import type { AttributeValue, OnnxGraph, OnnxNode, OnnxTensor } from '../onnx/index.js';
import type { Constant } from './constant.js';
import { type ExprBuilder } from './expr-builder.js';
import { isConstant, type Expr } from './expr.js';
import { Unsupported } from './problems.js';

/** Rewrites one ONNX node as expressions, one for each of its outputs (or the first alone). */
export type Operator = (context: OperatorContext) => Expr | readonly Expr[];

export interface OperatorServices {
  readonly builder: ExprBuilder;
  /** A tensor's data, read when asked for. */
  readonly constant: (tensor: OnnxTensor) => Constant;
  /** Translates a subgraph (of If, or one turn of a loop) with its inputs, and returns its outputs. */
  readonly subgraph: (graph: OnnxGraph, inputs?: readonly Expr[]) => readonly Expr[];
}

/** One ONNX node with its inputs, attributes and opset version, as operators see it. */
export class OperatorContext {
  readonly b: ExprBuilder;

  constructor(
    readonly node: OnnxNode,
    readonly opset: number,
    readonly inputs: readonly (Expr | null)[],
    readonly services: OperatorServices,
  ) {
    this.b = services.builder;
  }

  /** The same node with other inputs and attributes: for an operator that this one is made of. */
  as(inputs: readonly (Expr | null)[], attributes: OnnxNode['attributes'] = this.node.attributes): OperatorContext {
    return new OperatorContext({ ...this.node, attributes }, this.opset, inputs, this.services);
  }

  has(i: number): boolean {
    return (this.inputs[i] ?? null) !== null;
  }

  input(i: number): Expr {
    const expr = this.inputs[i];
    if (!expr) throw new InputError(`input ${i} is missing`);
    return expr;
  }

  /** An input that must be known when the model is imported. */
  constant(i: number): Constant {
    const expr = this.input(i);
    if (!isConstant(expr))
      throw new Unsupported(
        `input ${i} depends on the image`,
        'only values that follow from shapes and weights can stand there: export the model ' +
          'without data-dependent steps',
      );
    return expr.value;
  }

  integers(i: number): number[] {
    return Array.from(this.constant(i).data);
  }

  /** Axes given as an attribute by older opsets and as an input by newer ones, made non-negative; null where absent. */
  axes(inputIndex: number, rank: number): number[] | null {
    const axes = this.has(inputIndex) ? this.integers(inputIndex) : this.intsOr('axes', null);
    return axes && axes.map((axis) => this.axis(axis, rank));
  }

  axis(axis: number, rank: number): number {
    const at = axis < 0 ? axis + rank : axis;
    if (!Number.isInteger(at) || at < 0 || at >= Math.max(1, rank))
      throw new InputError(`axis ${axis} does not exist in a tensor of ${rank} axes`);
    return at;
  }

  int(name: string, fallback: number): number {
    const value = this.#attribute(name, 'int');
    return value ? value.number : fallback;
  }

  float(name: string, fallback: number): number {
    const value = this.#attribute(name, 'float');
    return value ? value.number : fallback;
  }

  text(name: string, fallback: string): string {
    const value = this.#attribute(name, 'string');
    return value ? value.text : fallback;
  }

  intsOr<T>(name: string, fallback: T): number[] | T {
    const value = this.#attribute(name, 'ints');
    return value ? [...value.numbers] : fallback;
  }

  floatsOr<T>(name: string, fallback: T): number[] | T {
    const value = this.#attribute(name, 'floats');
    return value ? [...value.numbers] : fallback;
  }

  tensor(name: string): Constant | null {
    const value = this.#attribute(name, 'tensor');
    return value ? this.services.constant(value.tensor) : null;
  }

  graph(name: string): OnnxGraph {
    const value = this.#attribute(name, 'graph');
    if (!value) throw new InputError(`attribute ${name} is missing`);
    return value.graph;
  }

  #attribute<T extends AttributeValue['type']>(name: string, type: T): Extract<AttributeValue, { type: T }> | null {
    const attribute = this.node.attributes.get(name);
    if (!attribute) return null;
    const { value } = attribute;
    if (!is(value, type)) throw new InputError(`attribute ${name} is of type ${value.type}, expected ${type}`);
    return value;
  }
}

function is<T extends AttributeValue['type']>(
  value: AttributeValue,
  type: T,
): value is Extract<AttributeValue, { type: T }> {
  return value.type === type;
}
