import { InputError } from '../../errors.js';
import { Constant } from '../constant.js';
import { isConstant, isTruth, type Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';
import { Unsupported } from '../problems.js';

/** Operators that stand for a whole attention, taken apart into products and a softmax. */
export const attentionOperators: Readonly<Record<string, Operator>> = {
  Attention: onnxAttention,
  'com.microsoft::Attention': packedAttention,
  'com.microsoft::MultiHeadAttention': multiHeadAttention,
};

interface Scores {
  readonly scale: number;
  /** Scores s become softcap·tanh(s/softcap) before the bias is added; 0: they stay as they are. */
  readonly softcap?: number;
  readonly bias: Expr | null;
}

/** softmax(scale·q·kᵀ + bias)·v for q, k, v of [batch, heads, tokens, dim]. */
function attend(c: OperatorContext, [q, k, v]: readonly Expr[], { scale, softcap = 0, bias }: Scores): Expr {
  let scores = c.b.mul(c.b.matmul(q, c.b.transpose(k, [0, 1, 3, 2])), c.b.scalar(scale));
  if (softcap !== 0)
    scores = c.b.mul(c.b.scalarOp('tanh', c.b.mul(scores, c.b.scalar(1 / softcap))), c.b.scalar(softcap));
  return c.b.matmul(c.b.softmax(bias ? c.b.add(scores, bias) : scores), v);
}

/** [batch, tokens, heads·dim] as [batch, heads, tokens, dim]. */
function splitHeads(c: OperatorContext, x: Expr, heads: number): Expr {
  const [batch, tokens, width] = x.shape;
  if (width % heads !== 0) throw new InputError(`${width} channels cannot be divided among ${heads} heads`);
  return c.b.transpose(c.b.reshape(x, [batch, tokens, heads, width / heads]), [0, 2, 1, 3]);
}

function mergeHeads(c: OperatorContext, x: Expr): Expr {
  const [batch, heads, tokens, dim] = x.shape;
  return c.b.reshape(c.b.transpose(x, [0, 2, 1, 3]), [batch, tokens, heads * dim]);
}

/** The standard operator, from opset 23 on. */
function onnxAttention(c: OperatorContext): Expr {
  if (c.int('is_causal', 0) === 1) throw new Unsupported('causal attention', 'text models are not supported');
  if (c.int('left_window_size', -1) >= 0 || c.int('right_window_size', -1) >= 0)
    throw new Unsupported('attention over a sliding window', 'export the model with the window as a mask');
  if (c.has(4) || c.has(5) || c.has(6)) throw cached();
  const packed = c.input(0).shape.length === 3;
  const split = (i: number, heads: string): Expr => (packed ? splitHeads(c, c.input(i), c.int(heads, 1)) : c.input(i));
  const [q, k, v] = [split(0, 'q_num_heads'), split(1, 'kv_num_heads'), split(2, 'kv_num_heads')];
  const repeats = q.shape[1] / k.shape[1];
  const shared = (x: Expr): Expr => {
    if (repeats === 1) return x;
    const picks = x.shape.map((_, axis) =>
      axis === 1 ? Array.from({ length: q.shape[1] }, (_, h) => Math.floor(h / repeats)) : null,
    );
    return c.b.take(x, picks);
  };
  const scale = c.float('scale', 1 / Math.sqrt(q.shape[3]));
  const bias = c.has(3) ? maskAsBias(c, 3) : null;
  const out = attend(c, [q, shared(k), shared(v)], { scale, softcap: c.float('softcap', 0), bias });
  return packed ? mergeHeads(c, out) : out;
}

const cached = (): Unsupported => new Unsupported('a key-value cache', 'text models are not supported');

/** A boolean mask says where to attend; a float one is added, and may depend on the image. */
function maskAsBias(c: OperatorContext, i: number): Expr {
  const mask = c.input(i);
  const isAdded = isConstant(mask) ? mask.value.kind === 'float' : !isTruth(mask);
  return isAdded ? mask : c.b.fold([c.constant(i)], (yes) => (yes ? 0 : -Infinity), 'float');
}

/** What runtimes add to scores that a mask hides. */
const FILTER = -10000;

/**
 * ONNX Runtime's mask of keys as a bias: [batch, keys], [batch, queries, keys] or [batch, 1, queries, keys] with 0
 * where a key is hidden, or [batch], the number of keys that count. Null where it hides nothing.
 */
function keyMask(c: OperatorContext, i: number, keys: number): Expr | null {
  if (!c.has(i)) return null;
  const mask = c.constant(i);
  const [batch, ...rest] = mask.shape;
  const filter = c.float('mask_filter_value', FILTER);
  if (rest.length === 0) {
    if (batch !== 1) throw new Unsupported('a mask of packed sequences', 'export the model for one image');
    const kept = Float32Array.from({ length: keys }, (_, at) => (at < mask.data[0] ? 0 : filter));
    return c.b.constant(Constant.of([1, 1, 1, keys], 'float', kept));
  }
  const hidden = c.b.fold([mask], (yes) => (yes ? 0 : filter), 'float');
  if (hidden.value.uniform === 0) return null;
  if (rest.length === 3) return hidden;
  return c.b.reshape(hidden, [batch, 1, rest.length === 2 ? rest[0] : 1, rest.at(-1)!]);
}

const sum = (c: OperatorContext, a: Expr | null, b: Expr | null): Expr | null => (a && b ? c.b.add(a, b) : (a ?? b));

/** ONNX Runtime's: input·weights + bias gives q, k and v side by side. */
function packedAttention(c: OperatorContext): Expr {
  if (c.has(4)) throw cached();
  refuseText(c);
  const heads = c.int('num_heads', 1);
  const sizes = c.intsOr('qkv_hidden_sizes', null) ?? new Array<number>(3).fill(c.input(1).shape[1] / 3);
  const product = c.b.matmul(c.input(0), c.input(1));
  const qkv = c.has(2) ? c.b.add(product, c.input(2)) : product;
  let start = 0;
  const [q, k, v] = sizes.map((size) => {
    const columns = Array.from({ length: size }, (_, i) => start + i);
    start += size;
    return splitHeads(c, c.b.take(qkv, [null, null, columns]), heads);
  });
  return mergeHeads(c, attend(c, [q, k, v], scoresOf(c, q, keyMask(c, 3, k.shape[2]))));
}

function refuseText(c: OperatorContext): void {
  if (c.int('unidirectional', 0) === 1 || c.int('do_rotary', 0) === 1)
    throw new Unsupported('causal attention', 'text models are not supported');
}

/** The scale, and the mask plus the bias that the operators of ONNX Runtime take as their sixth input. */
function scoresOf(c: OperatorContext, q: Expr, mask: Expr | null): Scores {
  const scale = c.float('scale', 0) || 1 / Math.sqrt(q.shape[3]);
  return { scale, bias: sum(c, mask, c.has(5) ? c.input(5) : null) };
}

/**
 * ONNX Runtime's, with q, k and v of [batch, tokens, heads·dim] and one bias for the three. Keys and values may be
 * [batch, heads, tokens, dim]. They may be packed: k and v as [batch, tokens, heads, 2, dim], all three as
 * [batch, tokens, heads, 3, dim].
 */
function multiHeadAttention(c: OperatorContext): Expr {
  if (c.has(6) || c.has(7)) throw cached();
  refuseText(c);
  const heads = c.int('num_heads', 1);
  let start = 0;
  const [q, k, v] = operandsOf(c).map((x) => {
    if (x.shape.length === 4) return x;
    const columns = Array.from({ length: x.shape[2] }, (_, j) => start + j);
    start += columns.length;
    return splitHeads(c, c.has(3) ? c.b.add(x, c.b.take(c.input(3), [columns])) : x, heads);
  });
  return mergeHeads(c, attend(c, [q, k, v], scoresOf(c, q, keyMask(c, 4, k.shape[2]))));
}

function operandsOf(c: OperatorContext): readonly Expr[] {
  const unpacked = (x: Expr): Expr[] => {
    const [batch, tokens, heads, count, dim] = x.shape;
    return Array.from({ length: count }, (_, i) =>
      c.b.reshape(c.b.take(x, [null, null, null, [i], null]), [batch, tokens, heads * dim]),
    );
  };
  const given = c.inputs.slice(0, 3).filter((x) => x !== null);
  const operands = given.flatMap((x) => (x.shape.length === 5 ? unpacked(x) : [x]));
  if (operands.length !== 3) throw new InputError(`${operands.length} operands, not queries, keys and values`);
  return operands;
}
