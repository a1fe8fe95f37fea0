/** Products of matrices: linear layers, attention, products of two values. */
import type { ValueSpec } from '../../../engine/values.js';
import { encodeWeights, FACTOR_BITS, isCoded } from '../../../program/codebook.js';
import { outputRange } from '../../../program/limits.js';
import { packWeights } from '../../../program/pack.js';
import type { AttentionOp, LinearOp, MatmulOp, MatrixView } from '../../../program/types.js';
import { zeroPoint } from '../../../program/value.js';
import {
  CTYPES,
  initializer,
  outputFields,
  outputOf,
  viewOf,
  type COp,
  type CStruct,
  type StructContext,
} from './definition.js';

/** By layer: weights as they are kept, so that tied weights are kept once. */
const packed = new WeakMap<Int8Array, Map<number, Uint8Array>>();

function packedWeights(op: LinearOp): Int8Array | Uint8Array {
  const { weight, weightBits } = op;
  if (weightBits === 8) return weight;
  const known = packed.get(weight) ?? new Map<number, Uint8Array>();
  packed.set(weight, known);
  const bytes = known.get(weightBits) ?? packWeights(isCoded(op) ? encodeWeights(op) : weight, weightBits);
  known.set(weightBits, bytes);
  return bytes;
}

/** What the codes of a layer stand for; none where its weights are not coded. */
function codingOf(op: LinearOp, context: StructContext): CStruct['fields'] {
  if (!isCoded(op)) return {};
  return {
    group_size: op.groupSize,
    factor: context.array('factor', packWeights(op.factor, FACTOR_BITS)),
    codebook: context.array('codebook', op.codebook),
  };
}

/** zero·Σ_k w[n, k] of each column. */
function zeroSums({ weight, inFeatures, cols }: LinearOp, zero: number): Int32Array {
  return Int32Array.from({ length: cols }, (_, n) => {
    let sum = 0;
    for (let k = n * inFeatures; k < (n + 1) * inFeatures; k++) sum += weight[k];
    return zero * sum;
  });
}

function linearStruct(op: LinearOp, context: StructContext): CStruct {
  const x: ValueSpec = context.operands[0];
  const sums = zeroSums(op, zeroPoint(x.out));
  const isByRow = x.out.type === 'rows';
  const bias = x.out.type === 'u8' ? op.bias.map((value, n) => value - sums[n]) : op.bias;
  return {
    type: 'ivit_kept_linear',
    fields: {
      ...{ cols: op.cols, in_features: op.inFeatures, x_type: CTYPES[x.out.type], row_shift: op.rowShift },
      bits: op.weightBits,
      weight: context.array('weight', packedWeights(op)),
      ...codingOf(op, context),
      bias: context.array('bias', bias),
      ...(isByRow && {
        correction: context.array(
          'correction',
          sums.map((sum) => -sum),
        ),
      }),
      out: outputOf(op, context),
    },
  };
}

export const linear: COp<LinearOp> = {
  kernels: () => ['ivit_kept_linear_rows'],
  struct: linearStruct,
  scratch: ({ weightBits, inFeatures }) => (weightBits === 8 ? 0 : inFeatures),
  aliases: [1],
  call(op, c) {
    const residual = op.residual === null ? 'NULL' : c.x(1, op.cols);
    const x = c.x(0, op.inFeatures);
    return `ivit_kept_linear_rows(${c.self}, n, ${x}, ${c.xScale(0)}, ${residual}, ${c.out}, ${c.scratch});`;
  },
};

const attentionKernel = (op: AttentionOp): string =>
  typeof op.softmax === 'string' ? 'ivit_attention_rows' : 'ivit_published_attention_rows';

const softmaxName = (kind: string): string => `IVIT_SOFTMAX_${kind.toUpperCase()}`;

function softmaxFields({ softmax, softmaxBits, fractionBits }: AttentionOp): CStruct['fields'] {
  if (typeof softmax === 'string')
    return { softmax: softmaxName(softmax), fraction_bits: fractionBits, softmax_bits: softmaxBits };
  const x0 = softmax.kind === 'paper' && { x0: softmax.x0 };
  return { softmax: softmaxName(softmax.kind), fraction_bits: fractionBits, ...x0, softmax_bits: softmax.bits };
}

export const attention: COp<AttentionOp> = {
  kernels: (op) => [attentionKernel(op)],
  struct: (op, context) => ({
    type: 'ivit_attention',
    fields: {
      ...{ batch: op.batch, heads: op.heads, queries: op.queries, keys: op.keys, dim: op.dim, value_dim: op.valueDim },
      ...{ q: viewOf(op.q, 'q_rows', context), k: viewOf(op.k, 'k_rows', context), v: viewOf(op.v, 'v_rows', context) },
      ...softmaxFields(op),
      score_multiplier: context.array('score_multiplier', op.scoreMultiplier),
      score_shift: op.scoreShift,
      ...(op.bias !== null && { bias: context.array('score_bias', op.bias) }),
      ...{ bias_batch: op.biasBatch, bias_heads: op.biasHeads },
      out: outputOf(op, context),
    },
  }),
  scratch: ({ keys, valueDim }) => 4 * (keys + valueDim),
  call: (op, c) =>
    `${attentionKernel(op)}(${c.self}, r, r + n, ${c.whole(0)}, ${c.whole(1)}, ${c.whole(2)}, ${c.out}, ` +
    `${c.scratch});`,
};

const isPlain = ({ rows, transposed }: MatrixView): boolean => rows === null && transposed !== true;

/** A row of each matrix, the first padded as native/portable.c wants. */
const innerBytes = (k: number): number => 2 * (k + ((64 - (k % 64)) % 64) + k);

export const matmul: COp<MatmulOp> = {
  kernels: () => ['ivit_matmul_rows'],
  struct(op, context) {
    const { lo, hi } = outputRange(op.out);
    const multiplier = context.array('multiplier', op.multiplier);
    const offset = op.offset.some((one) => one !== 0n) ? context.array('offset', op.offset) : null;
    const outs = Array.from({ length: op.heads }, (_, head) =>
      initializer({
        ...outputFields(op.out, { lo, hi, shift: op.shift, multiplier: `${multiplier} + ${head * op.n}` }),
        ...(offset !== null && { offset: `${offset} + ${head * op.n}` }),
      }),
    );
    return {
      type: 'ivit_matmul',
      fields: {
        ...{ heads: op.heads, m: op.m, n: op.n, k: op.k },
        a_transposed: op.a.transposed === true ? 1 : 0,
        b_transposed: op.b.transposed === true ? 1 : 0,
        ...{ a: viewOf(op.a, 'a_rows', context), b: viewOf(op.b, 'b_rows', context) },
        out: `(const ivit_output[]){${outs.join(', ')}}`,
      },
    };
  },
  scratch: ({ k }) => innerBytes(k),
  call: ({ a }, c) =>
    `ivit_matmul_rows(${c.self}, r, r + n, ${isPlain(a) ? c.x(0, a.stride) : c.whole(0)}, ${c.whole(1)}, ${c.out}, ` +
    `${c.scratch});`,
};
