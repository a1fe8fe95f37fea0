/** The ops as docs/format.md states them, in integers of unlimited size: nothing can wrap or lose a bit here. */
import { runOp } from '../../src/engine/reference.js';
import type { Value } from '../../src/engine/types.js';
import { imageValue } from '../../src/engine/values.js';
import { outputRange } from '../../src/program/limits.js';
import { operandsOf } from '../../src/program/operands.js';
import type {
  ActivationOp,
  AttentionOp,
  LayerNormOp,
  LinearOp,
  Op,
  OperandView,
  Program,
} from '../../src/program/types.js';
import { tensorsOf } from '../../src/program/tensors.js';
import { zeroPoint } from '../../src/program/value.js';

const WIDE = (1n << 24n) - 1n;
const big = (value: number): bigint => BigInt(value);
const clamp = (v: bigint, lo: bigint, hi: bigint): bigint => (v < lo ? lo : v > hi ? hi : v);
const half = (shift: number): bigint => (shift === 0 ? 0n : 1n << big(shift - 1));
const floorDivide = (a: bigint, b: bigint): bigint => (a >= 0n ? a / b : -((-a + b - 1n) / b));
const bits = (v: bigint): bigint => (v === 0n ? 0n : big(v.toString(2).length));

/** @throws Error where the reference gives another integer */
export function compareWithBigIntegers(program: Program, pixels: Uint8Array): void {
  const values: Value[] = [imageValue(program.input, pixels)];
  for (const op of program.ops) {
    const operands = operandsOf(op).map((id) => values[id]);
    const value = runOp(op, operands, program.input);
    const expected = evaluate(op, operands);
    if (expected !== null && op.out.type !== 'rows') compare(op, expected, value);
    values.push(value);
  }
}

function compare(op: Op, expected: readonly bigint[], value: Value): void {
  const zero = op.out.type === 'u8' ? big(op.out.zero) : 0n;
  expected.forEach((one, i) => {
    if (big(value.data[i]) !== one + zero)
      throw new Error(`${op.name}: element ${i} is ${value.data[i]}, and ${one + zero} in integers without limit`);
  });
}

/** Before the zero point; null: an op that src/kernels computes in integers of unlimited size itself, or only moves. */
function evaluate(op: Op, operands: readonly Value[]): bigint[] | null {
  switch (op.op) {
    case 'linear':
      return linear(op, operands);
    case 'layerNorm':
      return layerNorm(op, operands[0]);
    case 'activation':
      return requantized(
        op,
        Array.from(operands[0].data, (x) => activated(op, big(x))),
      );
    case 'rescale':
      return requantized(op, Array.from(operands[0].data, big));
    case 'meanRows':
      return requantized(
        op,
        Array.from({ length: op.rows * op.cols }, (_, i) => {
          const [r, n] = [Math.floor(i / op.cols), i % op.cols];
          let sum = 0n;
          for (let k = 0; k < op.group; k++) sum += big(operands[0].data[(r * op.group + k) * op.cols + n]);
          return sum;
        }),
      );
    case 'add':
      return Array.from(operands[0].data, (a, i) => clamp(big(a) + big(operands[1].data[i]), -WIDE, WIDE));
    case 'attention':
      return typeof op.softmax === 'string' ? requantized(op, attention(op, operands)) : null;
    default:
      return null;
  }
}

type Requantizing = Extract<Op, { multiplier: Int32Array; shift: number }>;

function requantized(op: Requantizing, v: readonly bigint[]): bigint[] {
  const { lo, hi } = outputRange(op.out);
  const offsets = new Map(tensorsOf(op)).get('offset') as BigInt64Array | undefined;
  return v.map((one, i) => {
    const n = i % op.cols;
    const offset = offsets === undefined ? 0n : offsets[n];
    return clamp((one * big(op.multiplier[n]) + half(op.shift) + offset) >> big(op.shift), big(lo), big(hi));
  });
}

function linear(op: LinearOp, [x, residual]: readonly Value[]): bigint[] {
  const zero = big(zeroPoint(x.out));
  const acc = Array.from({ length: op.rows * op.cols }, (_, i) => {
    const [r, n] = [Math.floor(i / op.cols), i % op.cols];
    let sum = 0n;
    for (let k = 0; k < op.inFeatures; k++)
      sum += (big(x.data[r * op.inFeatures + k]) - zero) * big(op.weight[n * op.inFeatures + k]);
    if (x.rowScale !== null) sum = (sum * big(x.rowScale[r]) + half(op.rowShift)) >> big(op.rowShift);
    return big(op.bias[n]) + sum;
  });
  const out = requantized(op, acc);
  return residual === undefined ? out : out.map((one, i) => clamp(one + big(residual.data[i]), -WIDE, WIDE));
}

function root(v: bigint): bigint {
  let low = 0n;
  for (let bit = 1n << 32n; bit > 0n; bit >>= 1n) if ((low + bit) * (low + bit) <= v) low += bit;
  return low;
}

function layerNorm(op: LayerNormOp, x: Value): bigint[] {
  const D = big(op.cols);
  const normalized: bigint[] = [];
  for (let r = 0; r < op.rows; r++) {
    const row = Array.from(x.data.subarray(r * op.cols, (r + 1) * op.cols), big);
    const sum = row.reduce((a, b) => a + b, 0n);
    const mean = op.center ? floorDivide(2n * sum + D, 2n * D) : 0n;
    const y = row.map((value) => value - mean);
    const squares = y.reduce((a, b) => a + b * b, op.epsilon);
    const std = root(squares > 1n ? squares : 1n);
    const t = bits(std);
    const quotient = (1n << (30n + t)) / std;
    const f = quotient < 2n ** 31n - 1n ? quotient : 2n ** 31n - 1n;
    for (const value of y) normalized.push((value * f) >> t);
  }
  return requantized(op, normalized);
}

function activated({ knots, spacing }: ActivationOp, x: bigint): bigint {
  const a = x < 0n ? -x : x;
  const positive = x > 0n ? x : 0n;
  const i = a >> big(spacing);
  if (i >= 64n) return positive;
  const r = (a % (1n << big(spacing))) << big(15 - spacing);
  const [from, to] = [big(knots[Number(i)]), i === 63n ? 0n : big(knots[Number(i) + 1])];
  return positive - (from + (((to - from) * r + (1n << 14n)) >> 15n));
}

function attention(op: AttentionOp, [q, k, v]: readonly Value[]): bigint[] {
  const { batch, heads, queries, keys, dim, valueDim, softmaxBits } = op;
  const out: bigint[] = [];
  const at = (view: OperandView, token: number, head: number, i: number): number =>
    (view.rows === null ? token : view.rows[token]) * view.stride + view.offset + head * view.headStride + i;
  for (let token = 0; token < batch * queries; token++)
    for (let h = 0; h < heads; h++) {
      const [window, query] = [Math.floor(token / queries), token % queries];
      const table = (window % op.biasBatch) * op.biasHeads + (h % op.biasHeads);
      const scores = Array.from({ length: keys }, (_, j) => {
        let s = 0n;
        for (let i = 0; i < dim; i++)
          s += big(q.data[at(op.q, token, h, i)]) * big(k.data[at(op.k, window * keys + j, h, i)]);
        const scaled = (s * big(op.scoreMultiplier[h]) + half(op.scoreShift)) >> big(op.scoreShift);
        const bias = op.bias === null ? 0n : big(op.bias[(table * queries + query) * keys + j]);
        return clamp(clamp(scaled, -(1n << 30n), 1n << 30n) + bias, -(1n << 30n), 1n << 30n);
      });
      const most = scores.reduce((a, b) => (a > b ? a : b));
      const weights = scores.map((x, j) => weight(op, most - x, query, j));
      const sum = weights.reduce((a, b) => a + b, 0n);
      const factor = (1n << big(23 + softmaxBits)) / sum;
      for (let i = 0; i < valueDim; i++) {
        let acc = 0n;
        for (let j = 0; j < keys; j++) acc += weights[j] * big(v.data[at(op.v, window * keys + j, h, i)]);
        out.push((acc * factor + half(softmaxBits)) >> big(softmaxBits));
      }
    }
  return out;
}

function weight({ fractionBits, softmax, softmaxBits }: AttentionOp, d: bigint, query: number, key: number): bigint {
  const p = big(fractionBits);
  const dither = softmaxBits === 8 ? big(((27 * query + 39 * key) % 64) - 32) : 0n;
  const most = 255n << big(softmaxBits - 8);
  let shifted = 0n;
  if (d < 16n << p) {
    const r = (d % (1n << p)) << (14n - p);
    const one = 1n << 14n;
    const curve = softmax === 'quadratic' ? (((r * (one - r)) >> 14n) * 2811n + (1n << 13n)) >> 14n : 0n;
    shifted = (one - (r >> 1n) - curve) >> (d >> p);
  }
  return (most * (shifted + dither) + (1n << 13n)) >> 14n;
}
