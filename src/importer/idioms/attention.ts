import { broadcastData, sizeOf, type Constant } from '../constant.js';
import {
  isConstant,
  isOperation,
  isReshape,
  scalarValue,
  type Expr,
  type OperationExpr,
  type ViewExpr,
} from '../expr.js';
import { ExprBuilder } from '../expr-builder.js';
import { applyLayout, coarsen, invert, permute, refine, sameLayout } from '../../graph/layout.js';
import type { Lowered, Lowerer } from '../lower.js';
import { Unsupported } from '../problems.js';
import type { Idiom } from './idiom.js';
import { attentionOperators } from './attention-operators.js';
import { axisStrides } from './memory-order.js';
import { headsInPlace, operand, reordered, viewOf, type Operand } from './operand-views.js';
import { scoreTerms, withTerms, type ScoreShape, type ScoreTerm } from './score-terms.js';
import { softmaxInput } from './softmax.js';

/** softmax(scale·q·kᵀ + bias)·v over any number of leading axes, wherever the scale and the bias come in. */
export const attention: Idiom = {
  name: 'attention',
  operators: attentionOperators,
  lower(expr, lowerer) {
    if (!isOperation(expr, 'matmul')) return null;
    const [probabilities, v] = expr.inputs;
    const softmax = softmaxInput(throughReshapes(probabilities));
    if (softmax === null) return transposedProduct(expr, lowerer);
    const [queries, keys] = probabilities.shape.slice(-2);
    const groups = sizeOf(expr.shape.slice(0, -2));
    const scores = peelScores(softmax, { groups, queries, keys });
    if (!scores || sizeOf(probabilities.shape) !== groups * queries * keys) return null;

    const { product, scale, bias, terms } = scores;
    const q = withoutFactor(product.q, groups, scale);
    const k = withoutFactor(product.k, groups, scale);
    const batchShape = product.shape.slice(0, -2);
    if (terms.length > 0 && (scale[0] === 0 || scale.some((factor) => factor !== scale[0]))) return null;
    const innerDim = q.shape.at(-1)!;
    const valueDim = v.shape.at(-1)!;
    const plain = {
      q: lowerer.broadcast(lowerer.lower(q), [...batchShape, queries, innerDim]),
      k: swapped(lowerer.broadcast(lowerer.lower(k), [...batchShape, innerDim, keys]), lowerer),
    };
    const whole = terms.length === 0 ? plain : withTerms(plain, terms, scale[0], lowerer);
    const dim = whole.q.shape.at(-1)!;
    const operands = [
      operand(q, whole.q, queries, dim),
      operand(k, whole.k, keys, dim),
      operand(v, lowerer.broadcast(lowerer.lower(v), [...expr.shape.slice(0, -2), keys, valueDim]), keys, valueDim),
    ];
    const hint = [expr.shape, product.shape].map((shape) => shape.at(-3) ?? 1).find((dim_) => dim_ > 1) ?? 1;
    const order = groupOrder(operands, whole.k, { groups, hint }, lowerer);
    const ordered = order.isNatural ? operands : operands.map((o) => reordered(o, order.groups));
    const { heads } = order;
    const [qView, kView, vView] = ordered.map((o) => viewOf(o, groups, heads, lowerer, 'apart'));
    const batch = groups / heads;
    const each = queries * keys;
    const node = {
      op: 'attention' as const,
      rows: batch * queries,
      cols: heads * valueDim,
      q: qView,
      k: kView,
      v: vView,
      batch,
      heads,
      queries,
      keys,
      dim,
      valueDim,
      scale: perHead(applyLayout({ piece: 1, index: order.groups }, scale), heads),
      ...compactBias(bias && applyLayout({ piece: each, index: order.groups }, bias), batch, heads, each),
    };
    const layout = permute([batch, queries, heads, valueDim], [0, 2, 1, 3]);
    const mixed = lowerer.emit(expr, node, [], expr.shape, layout);
    if (order.isNatural) return mixed;
    return lowerer.rearranged(mixed, invert({ piece: queries * valueDim, index: order.groups }), expr.shape);
  },
};

/** In which order an attention takes its windows and heads, and how many heads there are. */
interface GroupOrder {
  readonly heads: number;
  /** The leading position that is the i-th. */
  readonly groups: Int32Array;
  readonly isNatural: boolean;
}

/**
 * The order of the leading axes or, where no operand would have to be copied, that in which they lie in memory: heads
 * side by side in the rows of windows, as a layer writes them, though a transpose has put them first (Hiera).
 */
function groupOrder(
  operands: readonly Operand[],
  k: Lowered,
  { groups, hint }: { readonly groups: number; readonly hint: number },
  lowerer: Lowerer,
): GroupOrder {
  const natural = Int32Array.from({ length: groups }, (_, g) => g);
  const heads = headsInPlace(operands, groups, hint, lowerer);
  if (heads === null) {
    const leading = k.shape.slice(0, -2);
    const strides = axisStrides(k);
    const axes = [...leading.keys()].sort((a, b) => strides[b] - strides[a]);
    const found = refine(permute(leading, axes), 1).index;
    const moved = operands.map((o) => reordered(o, found));
    const inPlace = headsInPlace(moved, groups, leading[axes.at(-1) ?? 0] ?? 1, lowerer);
    if (inPlace !== null) return { heads: inPlace, groups: found, isNatural: false };
  }
  return { heads: heads ?? (groups % hint === 0 ? hint : 1), groups: natural, isNatural: true };
}

/** What a reshaped tensor is before; only leading axes may change. */
function throughReshapes(expr: Expr): Expr {
  if (expr.op !== 'view' || !isReshape(expr)) return expr;
  const [source] = expr.sources;
  return source.shape.at(-1) === expr.shape.at(-1) ? source : expr;
}

/** The last two axes change places. */
const swap = ({ length }: readonly number[]): number[] =>
  Array.from({ length }, (_, i) => (i < length - 2 ? i : 2 * length - 3 - i));

const transposed = (builder: ExprBuilder, x: Expr): Expr => builder.transpose(x, swap(x.shape));

function swapped(lowered: Lowered, lowerer: Lowerer): Lowered {
  const { shape } = lowered;
  const perm = swap(shape);
  return lowerer.rearranged(
    lowered,
    permute(shape, perm),
    perm.map((axis) => shape[axis]),
  );
}

/** vᵀ·softmax(…)ᵀ, as JAX writes attention: the transpose of softmax(…)·v. */
function transposedProduct(expr: OperationExpr, lowerer: Lowerer): Lowered | null {
  const [v, probabilities] = expr.inputs;
  const [rows, cols] = probabilities.shape.slice(-2);
  const found = probabilities.op === 'view' ? swappedSource(probabilities, rows, cols) : null;
  if (found === null || softmaxInput(found) === null) return null;
  const builder = new ExprBuilder();
  const turned = builder.reshape(found, [...probabilities.shape.slice(0, -2), cols, rows]);
  const product = builder.matmul(turned, transposed(builder, v));
  const { shape } = product;
  return lowerer.rearranged(
    lowerer.lower({ ...product, origin: expr.origin }),
    permute(shape, swap(shape)),
    expr.shape,
  );
}

/** The source of which a view [groups, rows, cols] is the transpose, matrix by matrix; null where it is none. */
function swappedSource({ sources, layout, shape }: ViewExpr, rows: number, cols: number): Expr | null {
  const size = sizeOf(shape);
  if (sources.length !== 1 || sizeOf(sources[0].shape) !== size) return null;
  const turned = permute([size / (rows * cols), cols, rows], [0, 2, 1]);
  return sameLayout(layout, coarsen(turned, [size])) ? sources[0] : null;
}

interface Scores {
  /** q·kᵀ: q is [...leading, queries, dim], k [...leading, dim, keys]. */
  readonly product: { readonly q: Expr; readonly k: Expr; readonly shape: readonly number[] };
  /** One factor for each of the leading axes' positions. */
  readonly scale: Float64Array;
  readonly bias: Float64Array | null;
  /** Summands that the image changes. */
  readonly terms: readonly ScoreTerm[];
}

/** Takes factors and summands off the scores until q·kᵀ is left. */
function peelScores(softmaxInput: Expr, of: ScoreShape): Scores | null {
  const { groups, queries, keys } = of;
  const terms: ScoreTerm[] = [];
  const scale = new Float64Array(groups).fill(1);
  let bias: Float64Array | null = null;
  // Whether what is looked at now is the scores' transpose.
  let isSwapped = false;
  for (let expr = softmaxInput; ;) {
    const [rows, cols] = isSwapped ? [keys, queries] : [queries, keys];
    if (!('inputs' in expr)) {
      if (expr.op !== 'view') return null;
      if (!isReshape(expr)) {
        if (swappedSource(expr, rows, cols) === null) return null;
        isSwapped = !isSwapped;
      }
      [expr] = expr.sources;
      continue;
    }
    if (expr.op === 'matmul') {
      const isProduct = sizeOf(expr.shape.slice(0, -2)) === groups && expr.shape.at(-2) === rows;
      return isProduct && expr.shape.at(-1) === cols
        ? { product: productOf(expr, isSwapped), scale, bias, terms }
        : null;
    }
    if (expr.op === 'add' && !isSwapped && !expr.inputs.some(isConstant)) {
      const { inputs, shape } = expr;
      const found = inputs.map((input) => scoreTerms(input, shape, of, scale[0]));
      const at = found.findIndex((some) => some !== null);
      if (at < 0 || sizeOf(inputs[1 - at].shape) !== sizeOf(expr.shape)) return null;
      terms.push(...found[at]!);
      expr = inputs[1 - at];
      continue;
    }
    const [x, operand] = expr.inputs;
    if ((expr.op !== 'mul' && expr.op !== 'add') || !isConstant(operand) || sizeOf(expr.shape) !== sizeOf(x.shape))
      return null;
    if (expr.op === 'mul') {
      const factors = groupFactors(operand.value, expr.shape, groups);
      if (!factors) return null;
      for (let g = 0; g < groups; g++) scale[g] *= factors[g];
    } else {
      const given = broadcastData(operand.value, expr.shape);
      const spread = isSwapped ? applyLayout(permute([groups, rows, cols], [0, 2, 1]), given) : given;
      const each = spread.length / groups;
      bias ??= new Float64Array(spread.length);
      for (let i = 0; i < spread.length; i++) bias[i] += scale[Math.floor(i / each)] * spread[i];
    }
    expr = x;
  }
}

/** The operands of q·kᵀ, or of its transpose k·qᵀ. */
function productOf({ inputs: [a, b], shape }: OperationExpr, isSwapped: boolean): Scores['product'] {
  if (!isSwapped) return { q: a, k: b, shape };
  const builder = new ExprBuilder();
  const [q, k] = [b, a].map((x) => transposed(builder, x));
  return { q, k, shape: [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] };
}

/** The factor of each leading position where a constant is the same within the last two axes, else null. */
function groupFactors(value: Constant, shape: readonly number[], groups: number): ArrayLike<number> | null {
  const { uniform } = value;
  if (uniform !== null) return new Float64Array(groups).fill(uniform);
  const spread = broadcastData(value, shape);
  const each = spread.length / groups;
  const factors = new Float64Array(groups);
  for (let i = 0; i < spread.length; i++) {
    if (i % each === 0) factors[i / each] = spread[i];
    else if (spread[i] !== factors[Math.floor(i / each)]) return null;
  }
  return factors;
}

/** Takes a constant factor off an operand of the product and puts it into the scale. */
function withoutFactor(expr: Expr, groups: number, scale: Float64Array): Expr {
  const stripped = stripScalar(expr);
  for (let g = 0; g < groups; g++) scale[g] *= stripped.factor;
  const inner = stripped.expr;
  if (!isOperation(inner, 'mul') || !isConstant(inner.inputs[1])) return inner;
  if (sizeOf(inner.shape.slice(0, -2)) !== groups || sizeOf(inner.inputs[0].shape) !== sizeOf(inner.shape))
    return inner;
  const factors = groupFactors(inner.inputs[1].value, inner.shape, groups);
  if (!factors) return inner;
  for (let g = 0; g < groups; g++) scale[g] *= factors[g];
  return withoutFactor(inner.inputs[0], groups, scale);
}

/** A single factor commutes with any rearrangement. */
function stripScalar(expr: Expr): { expr: Expr; factor: number } {
  if (isOperation(expr, 'mul')) {
    const factor = scalarValue(expr.inputs[1]);
    if (factor !== null && sizeOf(expr.shape) === sizeOf(expr.inputs[0].shape)) {
      const inner = stripScalar(expr.inputs[0]);
      return { expr: inner.expr, factor: factor * inner.factor };
    }
  }
  if (expr.op === 'view' && expr.sources.length === 1) {
    const inner = stripScalar(expr.sources[0]);
    if (inner.factor !== 1 && inner.expr.op !== 'view')
      return { expr: { ...expr, sources: [inner.expr], broadcastOf: null }, factor: inner.factor };
  }
  return { expr, factor: 1 };
}

function perHead(scale: Float64Array, heads: number): Float32Array {
  for (let g = heads; g < scale.length; g++)
    if (scale[g] !== scale[g - heads])
      throw new Unsupported('the attention scale differs from window to window', 'only scales per head are supported');
  return Float32Array.from(scale.subarray(0, heads));
}

/** What a softmax cannot tell from −∞, and integers can hold. */
const MASKED = -1e9;

function compactBias(
  bias: Float64Array | null,
  batch: number,
  heads: number,
  each: number,
): { bias: Float32Array | null; biasBatch: number; biasHeads: number } {
  if (!bias || bias.every((value) => value === 0)) return { bias: null, biasBatch: 1, biasHeads: 1 };
  const repeats = (step: number): boolean => {
    for (let i = step; i < bias.length; i++) if (bias[i] !== bias[i - step]) return false;
    return true;
  };
  const clamped = (values: Float64Array): Float32Array => Float32Array.from(values, (value) => Math.max(MASKED, value));
  if (repeats(each)) return { bias: clamped(bias.subarray(0, each)), biasBatch: 1, biasHeads: 1 };
  if (repeats(heads * each)) return { bias: clamped(bias.subarray(0, heads * each)), biasBatch: 1, biasHeads: heads };
  const sameForHeads =
    heads === 1 ||
    Array.from({ length: batch * heads }, (_, g) => g).every((g) => {
      const first = Math.floor(g / heads) * heads * each;
      for (let i = 0; i < each; i++) if (bias[g * each + i] !== bias[first + i]) return false;
      return true;
    });
  if (!sameForHeads) return { bias: clamped(bias), biasBatch: batch, biasHeads: heads };
  const out = new Float64Array(batch * each);
  for (let w = 0; w < batch; w++) out.set(bias.subarray(w * heads * each, (w * heads + 1) * each), w * each);
  return { bias: clamped(out), biasBatch: batch, biasHeads: 1 };
}
