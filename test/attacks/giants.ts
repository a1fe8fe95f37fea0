/** Small valid files whose one op asks for as much as it may: of each op that can grow beyond its tensors. */
import { encodeModel } from '../../src/program/model.js';
import type { Geometry, LinearOp, Op, Output, Program } from '../../src/program/types.js';
import { tinyModel } from '../program/tiny.js';
import { sha256 } from './rehash.js';

const WIDE: Output = { type: 'i32' };
const WORDS: Output = { type: 'i16' };
const BYTES: Output = { type: 'i8' };

const IMAGE = { height: 8, width: 8, channels: 3 };

/** What an op gets: rows and type of the value it reads, of `cols` columns; see `giant`. */
interface Source {
  readonly down: number;
  readonly across: number;
  readonly cols: number;
  readonly out: Output;
}

const requantization = (cols: number) => ({
  multiplier: new Int32Array(cols).fill(3),
  offset: new BigInt64Array(cols),
  shift: 3,
});

/** Patches of one pixel, as many as wanted, most of them outside of the image; a layer, value 2. */
function beginning({ down, across, cols, out }: Source): Op[] {
  const one = [1, 1] as const;
  const rows = down * across;
  const first: Op = {
    ...{ op: 'patches', name: 'p', rows, cols: 3, out: { type: 'u8', zero: 0 } },
    ...{ kernel: one, stride: one, pad: [0, 0], dilation: one, outSize: [down, across] },
  };
  const layer: LinearOp = {
    ...{ op: 'linear', name: 'l', rows, cols, out, x: 1, inFeatures: 3, weightBits: 8, rowShift: 0, residual: null },
    weight: Int8Array.from({ length: 3 * cols }, (_, i) => (i * 37) % 100),
    bias: new Int32Array(cols).fill(5),
    multiplier: new Int32Array(cols).fill(1),
    shift: 2,
  };
  return [first, layer];
}

/** The beginning; the op, on value 2; and the mean of its rows. */
function giant(source: Source, op: Op): Program {
  const mean: Op = {
    ...{ op: 'meanRows', name: 'mean', rows: 1, cols: op.cols, out: WIDE, x: 3, group: op.rows, shift: 20 },
    multiplier: new Int32Array(op.cols).fill(9),
  };
  return { input: IMAGE, ops: [...beginning(source), op, mean], output: 4 };
}

const geometry = (size: number, kernel: number, outSize: number, pad = 0): Geometry => ({
  size: [size, size],
  kernel: [kernel, kernel],
  stride: [1, 1],
  pad: [pad, pad],
  dilation: [1, 1],
  outSize: [outSize, outSize],
});

const view = { x: 2, stride: 1, rows: null, offset: 0, headStride: 0 };

/** A map of edge `size`, of one channel. */
const map = (size: number, out: Output): Source => ({ down: size, across: size, cols: 1, out });

const attention = (batch: number, tokens: number, heads: number): Op => ({
  ...{ op: 'attention', name: 'big', rows: batch * tokens, cols: heads, out: WIDE, q: view, k: view, v: view },
  ...{ batch, heads, queries: tokens, keys: tokens, dim: 1, valueDim: 1, softmax: 'shift', softmaxBits: 8 },
  ...{ fractionBits: 8, scoreShift: 3, bias: null, biasBatch: 1, biasHeads: 1 },
  scoreMultiplier: new Int32Array(heads).fill(2),
  multiplier: new Int32Array(heads).fill(3),
  shift: 3,
});

const matmul = (batch: number, m: number, n: number, transposed: boolean): Op => ({
  ...{ op: 'matmul', name: 'big', rows: batch * m, cols: n, out: WIDE, batch, heads: 1, m, n, k: 1 },
  a: transposed ? { ...view, stride: m, transposed } : view,
  b: view,
  ...requantization(n),
});

/**
 * By op: a program as large as `edge` says. At 2^13 each takes more memory, or more work, than is allowed; at 2^6 none.
 * Tensors stay small at any size.
 */
export const GIANTS: Readonly<Record<string, (edge: number) => Program>> = {
  windows: (edge) =>
    giant(map(edge, WIDE), {
      ...{ op: 'windows', name: 'big', rows: (edge * edge) / 16, cols: 64, out: WIDE, x: 2 },
      ...geometry(edge, 8, edge / 4, 7),
    }),
  depthwise: (edge) =>
    giant(map(edge, WORDS), {
      ...{ op: 'depthwise', name: 'big', rows: 4 * edge * edge, cols: 1, out: WIDE, x: 2 },
      ...geometry(edge, 3, 2 * edge, 2),
      weight: new Int16Array(9).fill(7),
      ...requantization(1),
    }),
  maxPool: (edge) =>
    giant(map(edge, WIDE), {
      ...{ op: 'maxPool', name: 'big', rows: 4 * edge * edge, cols: 1, out: WIDE, x: 2 },
      ...geometry(edge, 2 * edge, 2 * edge, edge),
    }),
  mixRows: (edge) =>
    giant(
      { down: edge, across: edge, cols: 4, out: WIDE },
      {
        ...{ op: 'mixRows', name: 'big', rows: 2, cols: 1, out: WIDE, x: 2, taps: 2 },
        index: Int32Array.of(0, 4 * edge * edge - 1, -1, 5),
        weight: Int16Array.of(7, -7, 9, 9),
        ...requantization(1),
      },
    ),
  groupNorm: (edge) =>
    giant(
      { down: edge / 2, across: edge / 2, cols: 16, out: WORDS },
      {
        ...{
          op: 'groupNorm',
          name: 'big',
          rows: (edge * edge) / 4,
          cols: 16,
          out: WIDE,
          x: 2,
          groups: 16,
          epsilon: 9n,
        },
        ...requantization(16),
      },
    ),
  multiply: (edge) =>
    giant(
      { down: edge, across: edge, cols: 4, out: WORDS },
      {
        ...{ op: 'multiply', name: 'big', rows: edge * edge, cols: 4, out: WIDE, a: 2, b: 2 },
        ...requantization(4),
      },
    ),
  divide: (edge) =>
    giant(
      { down: edge, across: edge, cols: 4, out: WIDE },
      {
        ...{ op: 'divide', name: 'big', rows: edge * edge, cols: 4, out: WIDE, a: 2, b: 2, bits: 9 },
        ...requantization(4),
      },
    ),
  lookup: (edge) =>
    giant(
      { down: edge, across: edge, cols: 4, out: WORDS },
      {
        ...{ op: 'lookup', name: 'big', rows: edge * edge, cols: 4, out: WIDE, x: 2 },
        table: Int32Array.from({ length: 257 }, (_, i) => i * i),
        ...requantization(4),
      },
    ),
  softmax: (edge) =>
    giant(
      { down: edge, across: edge, cols: 4, out: WIDE },
      {
        ...{ op: 'softmax', name: 'big', rows: edge * edge, cols: 4, out: WIDE, x: 2, kind: 'quadratic' },
        ...{ fractionBits: 8, scoreMultiplier: 5, scoreShift: 3 },
        ...requantization(4),
      },
    ),
  rotate: (edge) =>
    giant(
      { down: edge, across: edge, cols: 4, out: WORDS },
      {
        ...{ op: 'rotate', name: 'big', rows: edge * edge, cols: 4, out: WIDE, x: 2, cos: 2, sin: 2, column: 0 },
        partner: Int32Array.of(1, 0, 3, 2),
        ...requantization(4),
      },
    ),
  add: (edge) =>
    giant(
      { down: edge, across: edge, cols: 4, out: WIDE },
      { op: 'add', name: 'big', rows: edge * edge, cols: 4, out: WIDE, a: 2, b: 2 },
    ),
  gather: (edge) =>
    giant(map(edge, WIDE), {
      ...{ op: 'gather', name: 'big', rows: 4 * edge * edge, cols: 1, out: WIDE, sources: [2], piece: edge * edge },
      ...{ index: Int32Array.of(0, -1, 0, 0), fill: 1 },
    }),
  'attention of many windows': (edge) => giant(map(edge, BYTES), attention(edge * edge, 1, 1)),
  'attention of many heads': (edge) => giant(map(edge, BYTES), attention((edge * edge) / 64, 64, 4)),
  'matmul of many rows': (edge) => giant(map(edge, WORDS), matmul(1, edge * edge, 4, false)),
  'matmul of a transposed matrix': (edge) => giant(map(edge, WORDS), matmul(1, edge * edge, 4, true)),
};

/** Every second row of a map of `rows` pixels in one column, of value x; one channel. */
const everySecond = (name: string, rows: number, x: number): Op => ({
  ...{ op: 'windows', name, rows: rows / 2, cols: 1, out: WIDE, x },
  ...{ size: [rows, 1], kernel: [1, 1], stride: [2, 1], pad: [0, 0], dilation: [1, 1], outSize: [rows / 2, 1] },
});

const gather = (name: string, sources: number[], cols: number, index: readonly number[], piece = 1): Op => ({
  ...{ op: 'gather', name, rows: (index.length * piece) / cols, cols, out: WIDE, sources, piece, fill: 1 },
  index: Int32Array.from(index),
});

const range = (length: number): number[] => Array.from({ length }, (_, i) => i);

/** By shape: `count` ops that read every second row of a map of `rows`. */
export const SCATTERED: Readonly<Record<string, (count: number, rows: number) => Program>> = {
  'side by side': (count, rows) => {
    const added = (i: number) => (i === 0 ? 3 : 2 + count + i);
    const ops: Op[] = [
      ...beginning({ down: rows / 2, across: 2, cols: 1, out: WIDE }),
      ...range(count).map((i) => everySecond(`w${i}`, rows, 2)),
      ...range(count - 1).map((i): Op => ({
        op: 'add',
        name: `a${i}`,
        rows: rows / 2,
        cols: 1,
        out: WIDE,
        a: added(i),
        b: 4 + i,
      })),
      gather('all', [added(count - 1)], rows / 2, range(rows / 2)),
    ];
    return { input: IMAGE, ops, output: ops.length };
  },
  'one after another': (count, rows) => {
    const ops: Op[] = [
      ...beginning({ down: rows / 2, across: 2, cols: 1, out: WIDE }),
      ...range(count).map((i): Op => ({ op: 'add', name: `a${i}`, rows, cols: 1, out: WIDE, a: 2 + i, b: 2 })),
      gather(
        'second',
        [2 + count],
        rows / 2,
        range(rows / 2).map((i) => 2 * i),
      ),
    ];
    return { input: IMAGE, ops, output: ops.length };
  },
  'of other columns each': (count, rows) => {
    const second = range(rows / 2).map((i) => 2 * i);
    const ops: Op[] = [
      ...beginning({ down: rows, across: 1, cols: count, out: WIDE }),
      ...range(count).map((i) =>
        gather(
          `g${i}`,
          [2],
          rows / 2,
          second.map((r) => r * count + i),
        ),
      ),
    ];
    const sources = range(count).map((i) => 3 + i);
    const all = range(count).map((i) => i);
    return {
      input: IMAGE,
      ops: [...ops, gather('all', sources, (rows / 2) * count, all, rows / 2)],
      output: 3 + count,
    };
  },
};

export const fileOf = (program: Program): Uint8Array => encodeModel({ ...tinyModel(program), labels: null }, sha256);
