import { InputError } from '../../errors.js';
import type { Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';
import { Unsupported } from '../problems.js';

/** Operators that stand for a whole attention, taken apart into products and a softmax. */
export const attentionOperators: Readonly<Record<string, Operator>> = {
  Attention: onnxAttention,
  'com.microsoft::Attention': packedAttention,
  'com.microsoft::MultiHeadAttention': multiHeadAttention,
};

/** softmax(scale·q·kᵀ + bias)·v for q, k, v of [batch, heads, tokens, dim]. */
function attend(c: OperatorContext, [q, k, v]: readonly Expr[], scale: number, bias: Expr | null): Expr {
  const scores = c.b.mul(c.b.matmul(q, c.b.transpose(k, [0, 1, 3, 2])), c.b.scalar(scale));
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

/** The standard operator, opset 23. */
function onnxAttention(c: OperatorContext): Expr {
  if (c.int('is_causal', 0) === 1) throw new Unsupported('causal attention', 'text models are not supported');
  if (c.float('softcap', 0) !== 0) throw new Unsupported('soft-capped scores', 'export the model without softcap');
  if (c.has(4) || c.has(5)) throw new Unsupported('a key-value cache', 'text models are not supported');
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
  const out = attend(c, [q, shared(k), shared(v)], scale, c.has(3) ? maskAsBias(c, 3) : null);
  return packed ? mergeHeads(c, out) : out;
}

/** A boolean mask says where to attend; a float one is added. */
function maskAsBias(c: OperatorContext, i: number): Expr {
  const mask = c.constant(i);
  return mask.kind === 'float' ? c.input(i) : c.b.fold([mask], (yes) => (yes ? 0 : -Infinity), 'float');
}

/** ONNX Runtime's: input·weights + bias gives q, k and v side by side. */
function packedAttention(c: OperatorContext): Expr {
  if (c.has(3) || c.has(4) || c.int('unidirectional', 0) === 1)
    throw new Unsupported('masked or cached attention', 'text models are not supported');
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
  const scale = c.float('scale', 0) || 1 / Math.sqrt(q.shape[3]);
  return mergeHeads(c, attend(c, [q, k, v], scale, c.has(5) ? c.input(5) : null));
}

/** ONNX Runtime's, with q, k and v of [batch, tokens, heads·dim] and one bias for the three. */
function multiHeadAttention(c: OperatorContext): Expr {
  if (c.has(4) || c.has(6) || c.has(7) || c.int('unidirectional', 0) === 1)
    throw new Unsupported('masked or cached attention', 'text models are not supported');
  if (c.inputs.slice(0, 3).some((x) => x?.shape.length !== 3))
    throw new Unsupported('packed queries, keys and values', 'optimise the model without packing them');
  const heads = c.int('num_heads', 1);
  const bias = c.has(3) ? c.input(3) : null;
  let start = 0;
  const [q, k, v] = [0, 1, 2].map((i) => {
    const x = c.input(i);
    const columns = Array.from({ length: x.shape[2] }, (_, j) => start + j);
    start += columns.length;
    return splitHeads(c, bias ? c.b.add(x, c.b.take(bias, [columns])) : x, heads);
  });
  const scale = c.float('scale', 0) || 1 / Math.sqrt(q.shape[3]);
  return mergeHeads(c, attend(c, [q, k, v], scale, c.has(5) ? c.input(5) : null));
}
