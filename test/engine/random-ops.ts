import fc from 'fast-check';
import { bitLength } from '../../src/kernels/dyadic.js';
import { outputRange } from '../../src/kernels/output.js';
import { allocate } from '../../src/engine/values.js';
import type { Value } from '../../src/engine/types.js';
import { Random } from '../../src/images/random.js';
import { operandsOf } from '../../src/program/operands.js';
import type {
  AttentionOp,
  GatherOp,
  LinearOp,
  Op,
  OperandView,
  Output,
  Program,
  ValueType,
} from '../../src/program/types.js';

/** One op with operands that it may legally meet. */
export interface OpCase {
  readonly op: Op;
  readonly operands: readonly Value[];
  readonly input: Program['input'];
}

const NO_IMAGE: Program['input'] = { height: 1, width: 1, channels: 1 };

/** Random data in which the ends of the range, small numbers, and constant rows turn up often. */
export class Data {
  private readonly random: Random;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  integer(lo: number, hi: number): number {
    return lo + (this.random.uint32() % (hi - lo + 1));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(0, choices.length - 1)];
  }

  /** `rows` runs of `cols` numbers within lo to hi. */
  fill<T extends Int8Array | Uint8Array | Int16Array | Int32Array>(
    array: T,
    lo: number,
    hi: number,
    cols = array.length,
  ): T {
    for (let at = 0; at < array.length; at += cols) {
      const mode = this.integer(0, 5);
      const small = Math.max(1, Math.min(hi, 1 << this.integer(0, 22)));
      const constant = this.pick([lo, hi, Math.max(lo, 0)]);
      for (let i = at; i < Math.min(at + cols, array.length); i++) {
        if (mode === 0) array[i] = constant;
        else if (mode === 1) array[i] = this.pick([lo, hi]);
        else if (mode === 2) array[i] = this.integer(Math.max(lo, -small), Math.min(hi, small));
        else array[i] = this.integer(lo, hi);
      }
    }
    return array;
  }

  value(out: Output, rows: number, cols: number): Value {
    const value = allocate({ out, rows, cols });
    const { lo, hi } =
      out.type === 'u8' ? { lo: 0, hi: 255 } : out.type === 'rows' ? { lo: 1, hi: 255 } : outputRange(out);
    this.fill(value.data as Int32Array, lo, hi, cols);
    // A row scale is what quantizeRow makes: at most 8 significant bits, 2^22 at most.
    value.rowScale?.forEach((_, r, scales) => (scales[r] = this.integer(1, 256) << this.integer(0, 14)));
    return value;
  }

  output(type: ValueType): Output {
    return type === 'u8' ? { type, zero: this.pick([0, 128, 255, this.integer(0, 255)]) } : { type };
  }

  /**
   * Multipliers and a shift for |v| < 2^bits, so that results fall around the output's range: often inside, at times
   * far beyond or all zero. |v·multiplier + offset + 2^(shift−1)| < 2^63.
   */
  requantization(
    out: Output,
    bits: number,
    cols: number,
  ): { multiplier: Int32Array; offset: BigInt64Array; shift: number } {
    const multiplierBits = Math.min(31, 62 - bits, this.integer(1, 31));
    const range = bitLength(outputRange(out).hi);
    const fitting = bits + multiplierBits - range + this.integer(-3, 3);
    const shift = Math.max(1, Math.min(61, this.integer(0, 4) === 0 ? this.integer(1, 61) : fitting));
    const most = 2 ** multiplierBits - 1;
    const multiplier = new Int32Array(cols);
    multiplier.forEach(
      (_, n) => (multiplier[n] = this.pick([this.integer(-most, most), this.integer(most >> 1, most), 0, most])),
    );
    const offsetBits = BigInt(Math.min(60, shift + range));
    const offset = new BigInt64Array(cols);
    offset.forEach(
      (_, n) => (offset[n] = BigInt.asIntN(64, BigInt(this.integer(-1000, 1000)) * (1n << offsetBits)) >> 10n),
    );
    return { multiplier, offset, shift };
  }
}

/**
 * Multipliers and a shift that bring results of about `typical` bits (all below `bits`) well into the output's range.
 */
export function fittingRequantization(
  data: Data,
  out: Output,
  bits: number,
  typical: number,
  cols: number,
): { multiplier: Int32Array; offset: BigInt64Array; shift: number } {
  const multiplierBits = Math.min(31, 62 - bits);
  const shift = Math.max(
    1,
    Math.min(61, typical + multiplierBits - bitLength(outputRange(out).hi) + data.integer(-1, 2)),
  );
  const multiplier = Int32Array.from({ length: cols }, () =>
    data.integer(2 ** (multiplierBits - 1), 2 ** multiplierBits - 1),
  );
  const offset = BigInt64Array.from({ length: cols }, () => BigInt(data.integer(-9, 9)) << BigInt(Math.min(shift, 56)));
  return { multiplier, offset, shift };
}

/** The requantization of an op that has no offset. */
export function withoutOffset<T extends { multiplier: Int32Array; shift: number }>({ multiplier, shift }: T) {
  return { multiplier, shift };
}

const seed = fc.integer();
const size = (max: number) => fc.integer({ min: 1, max });
const anyOutput = fc.constantFrom<ValueType>('u8', 'i8', 'i16', 'i32', 'rows');

export const linearCase: fc.Arbitrary<OpCase> = fc
  .record({
    rows: size(14),
    inFeatures: fc.oneof(size(70), fc.constantFrom(64, 128, 192, 200, 256, 384, 640)),
    cols: fc.oneof(size(40), size(200), fc.constantFrom(64, 192)),
    x: fc.constantFrom<ValueType>('u8', 'rows', 'i16'),
    out: anyOutput,
    residual: fc.boolean(),
    seed,
  })
  .map(({ rows, inFeatures, cols, x, out: type, residual, seed: s }) => {
    const data = new Data(s);
    const operand = data.value(data.output(x), rows, inFeatures);
    const out = residual ? data.output('i32') : data.output(type);
    const magnitude = x === 'i16' ? 15 : x === 'rows' ? 7 : 8;
    const bits = magnitude + 7 + bitLength(inFeatures) + 1;
    const rowShift = x === 'rows' ? Math.max(0, Math.min(31, bits + 22 - data.integer(20, 29))) : 0;
    const accumulatorBits = x === 'rows' ? 31 : bits;
    const op: LinearOp = {
      op: 'linear',
      name: 'linear',
      rows,
      cols,
      out,
      x: 1,
      inFeatures,
      weightBits: 8,
      weight: data.fill(new Int8Array(cols * inFeatures), -127, 127, inFeatures),
      bias: data.fill(new Int32Array(cols), -(2 ** 20), 2 ** 20),
      ...data.requantization(out, accumulatorBits, cols),
      rowShift,
      residual: residual ? 2 : null,
    };
    return { op, operands: residual ? [operand, data.value(out, rows, cols)] : [operand], input: NO_IMAGE };
  });

const rowsCase = fc.record({ rows: size(9), cols: fc.oneof(size(40), size(400)), out: anyOutput, seed });

export const layerNormCase: fc.Arbitrary<OpCase> = fc
  .record({ common: rowsCase, center: fc.boolean(), epsilon: fc.oneof(fc.bigInt(0n, 1n << 53n), fc.bigInt(0n, 1000n)) })
  .map(({ common: { rows, cols, out: type, seed: s }, center, epsilon }) => {
    const data = new Data(s);
    const out = data.output(type);
    const requantization = data.requantization(out, 30, cols);
    const op: Op = { op: 'layerNorm', name: 'norm', rows, cols, out, x: 1, center, epsilon, ...requantization };
    return { op, operands: [data.value({ type: 'i32' }, rows, cols)], input: NO_IMAGE };
  });

export const activationCase: fc.Arbitrary<OpCase> = fc
  .record({ common: rowsCase, spacing: fc.integer({ min: 4, max: 15 }) })
  .map(({ common: { rows, cols, out: type, seed: s }, spacing }) => {
    const data = new Data(s);
    const out = data.output(type);
    // Steps between knots, and x minus H, must fit 16 bits.
    const knots = data.fill(new Int16Array(64), -10000, 10000, 8);
    const x = data.value({ type: 'i16' }, rows, cols);
    const limit = data.pick([22767, Math.min(22767, 64 << spacing)]);
    data.fill(x.data as Int16Array, -limit, limit, cols);
    const op: Op = {
      op: 'activation',
      name: 'gelu',
      rows,
      cols,
      out,
      x: 1,
      knots,
      spacing,
      ...data.requantization(out, 15, cols),
    };
    return { op, operands: [x], input: NO_IMAGE };
  });

export const paperNormCase: fc.Arbitrary<OpCase> = rowsCase.map(({ rows, cols, out: type, seed: s }) => {
  const data = new Data(s);
  const out = data.output(type);
  const op: Op = { op: 'paperNorm', name: 'norm', rows, cols, out, x: 1, ...data.requantization(out, 30, cols) };
  return { op, operands: [data.value({ type: 'i32' }, rows, cols)], input: NO_IMAGE };
});

const unit = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 1 << 15 }));

export const paperGeluCase: fc.Arbitrary<OpCase> = fc
  .record({ common: rowsCase, unit })
  .map(({ common: { rows, cols, out: type, seed: s }, unit: u }) => {
    const data = new Data(s);
    const out = data.output(type);
    const op: Op = {
      op: 'paperGelu',
      name: 'gelu',
      rows,
      cols,
      out,
      x: 1,
      x0: -u,
      ...data.requantization(out, 21, cols),
    };
    return { op, operands: [data.value({ type: 'i8' }, rows, cols)], input: NO_IMAGE };
  });

export const ibertGeluCase: fc.Arbitrary<OpCase> = fc
  .record({ common: rowsCase, fractionBits: fc.integer({ min: 6, max: 12 }) })
  .map(({ common: { rows, cols, out: type, seed: s }, fractionBits }) => {
    const data = new Data(s);
    const out = data.output(type);
    const x = data.value({ type: 'i16' }, rows, cols);
    const limit = data.pick([32767, 300, 1]);
    data.fill(x.data as Int16Array, -limit, limit);
    const op: Op = {
      op: 'ibertGelu',
      name: 'gelu',
      rows,
      cols,
      out,
      x: 1,
      fractionBits,
      ...data.requantization(out, 31, cols),
    };
    return { op, operands: [x], input: NO_IMAGE };
  });

export const rescaleCase: fc.Arbitrary<OpCase> = rowsCase.map(({ rows, cols, out: type, seed: s }) => {
  const data = new Data(s);
  const out = data.output(type);
  const op: Op = { op: 'rescale', name: 'rescale', rows, cols, out, x: 1, ...data.requantization(out, 24, cols) };
  return { op, operands: [data.value({ type: 'i32' }, rows, cols)], input: NO_IMAGE };
});

export const meanRowsCase: fc.Arbitrary<OpCase> = fc
  .record({ common: rowsCase, group: size(20) })
  .map(({ common: { rows, cols, out: type, seed: s }, group }) => {
    const data = new Data(s);
    const out = data.output(type);
    const op: Op = {
      op: 'meanRows',
      name: 'mean',
      rows,
      cols,
      out,
      x: 1,
      group,
      ...withoutOffset(data.requantization(out, 29, cols)),
    };
    return { op, operands: [data.value({ type: 'i32' }, rows * group, cols)], input: NO_IMAGE };
  });

export const addCase: fc.Arbitrary<OpCase> = rowsCase.map(({ rows, cols, seed: s }) => {
  const data = new Data(s);
  const out: Output = { type: 'i32' };
  const op: Op = { op: 'add', name: 'add', rows, cols, out, a: 1, b: 2 };
  return { op, operands: [data.value(out, rows, cols), data.value(out, rows, cols)], input: NO_IMAGE };
});

export const gatherCase: fc.Arbitrary<OpCase> = fc
  .record({ piece: size(20), pieces: size(30), perRow: size(4), sources: size(3), out: anyOutput, seed })
  .map(({ piece, pieces, perRow, sources, out: type, seed: s }) => {
    const data = new Data(s);
    const out = data.output(type);
    // Dynamic rows travel whole.
    const across = type === 'rows' ? 1 : perRow;
    const rows = Math.max(1, Math.trunc(pieces / across));
    const operands = Array.from({ length: sources }, () => data.value(out, data.integer(1, 5) * across, piece));
    const total = operands.reduce((sum, { data: { length } }) => sum + length, 0) / piece;
    const index = Int32Array.from({ length: rows * across }, () => data.integer(-1, total - 1));
    const fill = type === 'i8' ? -5 : 3;
    const op: GatherOp = {
      op: 'gather',
      name: 'gather',
      rows,
      cols: across * piece,
      out,
      sources: operands.map((_, i) => i + 1),
      piece,
      index,
      fill,
    };
    return { op, operands, input: NO_IMAGE };
  });

export const patchesCase: fc.Arbitrary<OpCase> = fc
  .record({
    kernel: fc.tuple(size(5), size(5)),
    stride: fc.tuple(size(5), size(5)),
    pad: fc.tuple(fc.nat(3), fc.nat(3)),
    dilation: fc.tuple(size(2), size(2)),
    outSize: fc.tuple(size(5), size(5)),
    height: size(20),
    width: size(20),
    channels: size(4),
    seed,
  })
  .map(({ kernel, stride, pad, dilation, outSize, height, width, channels, seed: s }) => {
    const op: Op = {
      op: 'patches',
      name: 'patches',
      rows: outSize[0] * outSize[1],
      cols: kernel[0] * kernel[1] * channels,
      out: { type: 'u8', zero: 0 },
      kernel,
      stride,
      pad,
      dilation,
      outSize,
    };
    const image = new Data(s).value({ type: 'u8', zero: 0 }, height * width, channels);
    return { op, operands: [image], input: { height, width, channels } };
  });

export const attentionCase: fc.Arbitrary<OpCase> = fc
  .record({
    batch: size(3),
    heads: size(3),
    queries: fc.oneof(size(9), size(40)),
    keys: fc.oneof(size(9), size(70)),
    dim: fc.oneof(size(20), fc.constantFrom(16, 32, 64)),
    valueDim: fc.oneof(size(20), fc.constantFrom(16, 32, 64)),
    fractionBits: fc.integer({ min: 8, max: 11 }),
    softmax: fc.oneof(
      fc.constantFrom('shift' as const, 'quadratic' as const),
      fc.record({
        kind: fc.constant('paper' as const),
        x0: unit.map((u) => -u),
        bits: fc.constantFrom(8 as const, 16 as const),
      }),
      fc.record({ kind: fc.constant('ibert' as const), bits: fc.constantFrom(8 as const, 16 as const) }),
    ),
    twelve: fc.boolean(),
    out: anyOutput,
    withBias: fc.boolean(),
    joined: fc.boolean(),
    seed,
  })
  .map(
    ({
      batch,
      heads,
      queries,
      keys,
      dim,
      valueDim,
      fractionBits: bits,
      softmax,
      twelve,
      out: type,
      withBias,
      joined,
      seed: s,
    }) => {
      const data = new Data(s);
      const fractionBits = typeof softmax === 'string' ? bits : softmax.kind === 'ibert' ? 10 : 0;
      const softmaxBits = typeof softmax === 'string' && twelve ? 12 : 8;
      const out = data.output(type);
      const cols = heads * valueDim;
      // Scores of 2^(14 + bits of dim) should span some 2^(fractionBits + 5).
      const scoreMultiplierBits = data.integer(8, 30);
      const scoreShift = Math.max(1, 14 + bitLength(dim) + scoreMultiplierBits - fractionBits - data.integer(0, 6));
      const biasBatch = data.pick([1, batch]);
      const biasHeads = data.pick([1, heads]);
      const biasLimit = data.pick([1 << (fractionBits + 3), 2 ** 28]);

      // One value that holds q, k and v side by side, or three of them.
      const tokens = joined ? Math.max(queries, keys) * batch : 0;
      const widths = [heads * dim, heads * dim, heads * valueDim];
      const stride = widths[0] + widths[1] + widths[2];
      const view = (i: number, count: number): { view: OperandView; value: Value | null } => {
        if (joined) {
          const rows = Int32Array.from({ length: batch * count }, () => data.integer(0, tokens - 1));
          const offset = widths.slice(0, i).reduce((a, b) => a + b, 0);
          return {
            view: {
              x: 1,
              stride,
              rows: count * batch === tokens ? null : rows,
              offset,
              headStride: i === 2 ? valueDim : dim,
            },
            value: null,
          };
        }
        const gap = data.integer(0, 3);
        const width = (i === 2 ? valueDim : dim) + gap;
        return {
          view: { x: i + 1, stride: heads * width, rows: null, offset: 0, headStride: width },
          value: data.value({ type: 'i8' }, batch * count, heads * width),
        };
      };
      const parts = [view(0, queries), view(1, keys), view(2, keys)];
      const shared = joined ? data.value({ type: 'i8' }, tokens, stride) : null;
      const op: AttentionOp = {
        op: 'attention',
        name: 'attention',
        rows: batch * queries,
        cols,
        out,
        q: parts[0].view,
        k: parts[1].view,
        v: parts[2].view,
        batch,
        heads,
        queries,
        keys,
        dim,
        valueDim,
        softmax,
        softmaxBits,
        fractionBits,
        scoreMultiplier: Int32Array.from({ length: heads }, () =>
          data.integer(2 ** (scoreMultiplierBits - 1), 2 ** scoreMultiplierBits - 1),
        ),
        scoreShift,
        bias: withBias
          ? data.fill(new Int32Array(biasBatch * biasHeads * queries * keys), -biasLimit, biasLimit, keys)
          : null,
        biasBatch,
        biasHeads,
        ...data.requantization(out, 30, cols),
      };
      return { op, operands: parts.map(({ value }) => value ?? (shared as Value)), input: NO_IMAGE };
    },
  );

/** Checks that a case's operands are as many as its op reads: a guard of this file. */
export function assertComplete({ op, operands }: OpCase): void {
  if (operandsOf(op).length !== operands.length) throw new Error(`${op.op} has ${operands.length} operands`);
}

export const CASES = {
  linear: linearCase,
  layerNorm: layerNormCase,
  activation: activationCase,
  paperNorm: paperNormCase,
  paperGelu: paperGeluCase,
  ibertGelu: ibertGeluCase,
  rescale: rescaleCase,
  meanRows: meanRowsCase,
  add: addCase,
  gather: gatherCase,
  patches: patchesCase,
  attention: attentionCase,
} as const;
