import fc from 'fast-check';
import { bitLength } from '../../src/kernels/dyadic.js';
import { hasTapsInside } from '../../src/program/ops/geometry.js';
import { Random } from '../../src/images/random.js';
import type {
  Geometry,
  LinearOp,
  Op,
  OperandView,
  Output,
  Program,
  ValueId,
  ValueType,
} from '../../src/program/types.js';
import { codedWeights } from '../program/coded.js';
import { Data, fittingRequantization, withoutOffset } from './random-ops.js';
import { PRODUCTS } from './random-products.js';

/** A program built op by op, each on values that exist. */
class Builder {
  readonly ops: Op[] = [];
  constructor(readonly data: Data) {}

  add(op: Op): ValueId {
    return this.ops.push({ ...op, name: `${this.ops.length} ${op.op}` });
  }

  of(id: ValueId): Op {
    return this.ops[id - 1];
  }

  /** Its values that have type `type`. */
  all(type: ValueType): ValueId[] {
    return this.ops.flatMap((op, i) => (op.out.type === type ? [i + 1] : []));
  }
}

/** Whatever op applies to an i32 value: norms, products, attention, layout, in shapes that vary on the way. */
const GROWTHS: readonly ((b: Builder, x: ValueId) => void)[] = [
  (b, x) => void feedForward(b, x),
  (b, x) => void attend(b, x),
  (b, x) => void attend(b, x),
  takeRows,
  addSame,
  pool,
  mergeRows,
  separateRows,
  separateRows,
  ...PRODUCTS,
  convolve,
  convolveDepthwise,
  poolMaxima,
  mix,
  normalizeMap,
];

/** A linear layer's input, made from an i32 value: normalised, or only requantized. */
function quantizeInput(b: Builder, x: ValueId, out = b.data.output(b.data.pick(['u8', 'rows'] as const))): ValueId {
  const { rows, cols } = b.of(x);
  const common = { name: '', rows, cols, out, x };
  if (b.data.integer(0, 5) === 0) {
    return b.add({ op: 'paperNorm', ...common, ...fittingRequantization(b.data, out, 30, 28, cols) });
  }
  if (b.data.integer(0, 2) > 0) {
    return b.add({
      op: 'layerNorm',
      ...common,
      center: b.data.integer(0, 3) > 0,
      epsilon: BigInt(b.data.integer(0, 5000)),
      ...fittingRequantization(b.data, out, 30, 28, cols),
    });
  }
  return b.add({ op: 'rescale', ...common, ...fittingRequantization(b.data, out, 24, 22, cols) });
}

/** The weights of a layer, as they are coded. */
function codingOf({ weight, weightBits, groupSize, codebook, factor }: LinearOp) {
  return groupSize === undefined ? { weight, weightBits } : { weight, weightBits, groupSize, codebook, factor };
}

function linear(
  b: Builder,
  x: ValueId,
  cols: number,
  out: Output,
  residual: ValueId | null = null,
  like: ValueId | null = null,
): ValueId {
  const source = b.of(x);
  const inFeatures = source.cols;
  const isDynamic = source.out.type === 'rows';
  const isWide = source.out.type === 'i16';
  const bits = (isDynamic ? 7 : isWide ? 15 : 8) + 7 + bitLength(inFeatures) + 1;
  const twin = like === null ? undefined : b.of(like);
  const weights =
    twin?.op === 'linear'
      ? codingOf(twin)
      : b.data.integer(0, 3) === 0
        ? codedWeights(new Random(b.data.integer(1, 2 ** 30)), { cols, inFeatures })
        : { weightBits: 8, weight: b.data.fill(new Int8Array(cols * inFeatures), -127, 127) };
  return b.add({
    op: 'linear',
    name: '',
    rows: source.rows,
    cols,
    out,
    x,
    inFeatures,
    residual,
    ...weights,
    ...(twin?.op === 'linear' && { weightsOf: twin.weightsOf ?? like! - 1 }),
    bias: b.data.fill(new Int32Array(cols), -1000, 1000),
    ...fittingRequantization(
      b.data,
      out,
      isDynamic ? 31 : bits,
      isDynamic ? 27 : (isWide ? 20 : 12) + (bitLength(inFeatures) >> 1),
      cols,
    ),
    rowShift: isDynamic ? bits + 22 - 28 : 0,
  });
}

function feedForward(b: Builder, x: ValueId): ValueId {
  const { cols } = b.of(x);
  const hidden = b.data.integer(1, 40);
  const isPaper = b.data.integer(0, 3) === 0;
  const up = linear(b, quantizeInput(b, x), hidden, { type: isPaper ? 'i8' : 'i16' });
  const out = b.data.output(b.data.pick(['u8', 'rows'] as const));
  const { rows } = b.of(up);
  const common = { name: '', rows, cols: hidden, out, x: up };
  const knots = b.data.fill(new Int16Array(64), -500, 500);
  const activated = b.add(
    isPaper
      ? {
          op: 'paperGelu',
          ...common,
          x0: -b.data.integer(1, 40),
          ...fittingRequantization(b.data, out, 15, 13, hidden),
        }
      : {
          op: 'activation',
          ...common,
          knots,
          spacing: b.data.integer(4, 8),
          ...fittingRequantization(b.data, out, 16, 13, hidden),
        },
  );
  return linear(b, activated, cols, { type: 'i32' }, b.data.integer(0, 3) > 0 ? x : null);
}

/**
 * A layer of all rows, the first of which are then replaced by those of one with the same weights and 16-bit inputs.
 */
function separateRows(b: Builder, x: ValueId): void {
  const { data } = b;
  const { rows, cols } = b.of(x);
  const inputs = quantizeInput(
    b,
    x,
    data.pick([{ type: 'u8', zero: 128 }, { type: 'u8', zero: 100 }, { type: 'rows' }] as const),
  );
  // Weights belong to whichever layer comes first; only the one of all rows can lend them.
  const isFirst = data.integer(0, 3) > 0;
  const makeAll = (like: ValueId | null) =>
    linear(b, inputs, cols, { type: 'i32' }, data.integer(0, 1) > 0 ? x : null, like);
  const early = isFirst ? makeAll(null) : null;
  const count = data.integer(1, Math.min(rows, 7));
  const wide: Output = { type: 'i32' };
  const taken = Int32Array.from({ length: count }, (_, r) => r);
  const first = b.add({
    op: 'gather',
    name: '',
    rows: count,
    cols,
    out: wide,
    sources: [x],
    piece: cols,
    index: taken,
    fill: 0,
  });
  const out: Output = { type: 'i16' };
  const codes = b.add({
    op: 'rescale',
    name: '',
    rows: count,
    cols,
    out,
    x: first,
    ...fittingRequantization(data, out, 24, 22, cols),
  });
  const own = linear(b, codes, cols, wide, data.integer(0, 1) > 0 ? first : null, early);
  const all = early ?? makeAll(own);
  const index = Int32Array.from({ length: rows }, (_, r) => (r < count ? r : r + count));
  b.add({ op: 'gather', name: '', rows, cols, out: wide, sources: [own, all], piece: cols, index, fill: 0 });
}

function attend(b: Builder, x: ValueId): ValueId {
  const { data } = b;
  const { rows, cols } = b.of(x);
  const heads = data.integer(1, 3);
  const dim = data.integer(1, 9);
  const qkv = linear(b, quantizeInput(b, x), 3 * heads * dim, { type: 'i8' });
  const batch = rows % 2 === 0 ? data.pick([1, 2]) : 1;
  const tokens = Math.trunc(rows / batch);
  const order = Int32Array.from({ length: rows }, () => data.integer(0, rows - 1));
  const view = (i: number): OperandView => ({
    x: qkv,
    stride: 3 * heads * dim,
    rows: data.integer(0, 2) === 0 ? order : null,
    offset: i * heads * dim,
    headStride: dim,
  });
  const out = data.output(data.pick(['u8', 'rows'] as const));
  const softmax = data.pick([
    'shift',
    'quadratic',
    { kind: 'paper', x0: -data.integer(1, 40), bits: data.pick([8, 16] as const) },
    { kind: 'ibert', bits: data.pick([8, 16] as const) },
  ] as const);
  const isPublished = typeof softmax !== 'string';
  const attended = b.add({
    op: 'attention',
    name: '',
    rows,
    cols: heads * dim,
    out,
    q: view(0),
    k: view(1),
    v: view(2),
    batch,
    heads,
    queries: tokens,
    keys: tokens,
    dim,
    valueDim: dim,
    softmax,
    softmaxBits: isPublished ? 8 : data.pick([8, 12] as const),
    fractionBits: isPublished ? (softmax.kind === 'ibert' ? 10 : 0) : data.integer(8, 11),
    scoreMultiplier: data.fill(new Int32Array(heads), 1, 1 << 20),
    scoreShift: data.integer(20, 28),
    bias: null,
    biasBatch: 1,
    biasHeads: 1,
    ...fittingRequantization(data, out, 30, isPublished ? 20 : 28, heads * dim),
  });
  return linear(b, attended, cols, { type: 'i32' }, data.integer(0, 3) > 0 ? x : null);
}

/** Some rows of one or two values of the same width. */
function takeRows(b: Builder, x: ValueId): void {
  const { cols } = b.of(x);
  const sources = [x, b.data.pick(b.all('i32').filter((id) => b.of(id).cols === cols))];
  const total = sources.reduce((sum, id) => sum + b.of(id).rows, 0);
  const rows = b.data.integer(1, 12);
  const index = Int32Array.from({ length: rows }, () => b.data.integer(-1, total - 1));
  b.add({ op: 'gather', name: '', rows, cols, out: { type: 'i32' }, sources, piece: cols, index, fill: 7 });
}

function addSame(b: Builder, x: ValueId): void {
  const { rows, cols } = b.of(x);
  const other = b.data.pick(b.all('i32').filter((id) => b.of(id).rows === rows && b.of(id).cols === cols));
  b.add({ op: 'add', name: '', rows, cols, out: { type: 'i32' }, a: x, b: other });
}

function pool(b: Builder, x: ValueId): void {
  const { rows, cols } = b.of(x);
  const group = b.data.pick([2, 3, rows].filter((g) => rows % g === 0));
  const out: Output = { type: 'i32' };
  b.add({
    op: 'meanRows',
    name: '',
    rows: Math.trunc(rows / group),
    cols,
    out,
    x,
    group,
    ...withoutOffset(fittingRequantization(b.data, out, 24 + bitLength(group), 23, cols)),
  });
}

/** Two rows laid side by side: the same elements, read with another row length. */
function mergeRows(b: Builder, x: ValueId): void {
  const { rows, cols } = b.of(x);
  if (rows % 2 === 1 || cols > 60) return;
  const order = Int32Array.from({ length: rows }, (_, i) => rows - 1 - i);
  b.add({
    op: 'gather',
    name: '',
    rows: Math.trunc(rows / 2),
    cols: 2 * cols,
    out: { type: 'i32' },
    sources: [x],
    piece: cols,
    index: order,
    fill: 0,
  });
}

/** Windows over a value's rows, taken as the pixels of some map: as many as pixels, or fewer. */
function mapOf(b: Builder, x: ValueId): Geometry {
  const { data } = b;
  const { rows } = b.of(x);
  const height = data.pick([1, 2, 3, 4, rows].filter((h) => rows % h === 0));
  const size = [height, Math.trunc(rows / height)] as const;
  const each = (pick: (axis: 0 | 1) => number): [number, number] => [pick(0), pick(1)];
  const kernel = each(() => data.integer(1, 3));
  const stride = each(() => data.pick([1, 1, 2, 4]));
  return {
    size,
    kernel,
    stride,
    pad: each((axis) => kernel[axis] >> 1),
    dilation: each(() => data.pick([1, 1, 2])),
    outSize: each((axis) => Math.ceil(size[axis] / stride[axis])),
  };
}

const windowsOf = ({ outSize }: Geometry): number => outSize[0] * outSize[1];

/** Fixed point of 16 bits. */
function toWords(b: Builder, x: ValueId): ValueId {
  const { rows, cols } = b.of(x);
  const out: Output = { type: 'i16' };
  return b.add({
    ...{ op: 'rescale', name: '', rows, cols, out, x },
    ...fittingRequantization(b.data, out, 24, 22, cols),
  });
}

/** A convolution: windows, then a linear layer. */
function convolve(b: Builder, x: ValueId): void {
  const { cols } = b.of(x);
  const geometry = mapOf(b, x);
  const codes = b.data.pick([true, false]) ? toWords(b, x) : quantizeInput(b, x, b.data.output('u8'));
  const { out } = b.of(codes);
  const rows = windowsOf(geometry);
  const taps = geometry.kernel[0] * geometry.kernel[1];
  const cut = b.add({ op: 'windows', name: '', rows, cols: taps * cols, out, x: codes, ...geometry });
  linear(b, cut, b.data.integer(1, 30), { type: 'i32' });
}

function convolveDepthwise(b: Builder, x: ValueId): void {
  const { data } = b;
  const { cols } = b.of(x);
  const geometry = mapOf(b, x);
  const taps = geometry.kernel[0] * geometry.kernel[1];
  const out = data.output(data.pick(['u8', 'rows'] as const));
  const convolved = b.add({
    ...{ op: 'depthwise', name: '', rows: windowsOf(geometry), cols, out, x: toWords(b, x), ...geometry },
    weight: data.fill(new Int16Array(taps * cols), -7000, 7000, cols),
    ...fittingRequantization(data, out, 31, 28, cols),
  });
  linear(b, convolved, data.integer(1, 30), { type: 'i32' });
}

function poolMaxima(b: Builder, x: ValueId): void {
  const geometry = mapOf(b, x);
  if (!hasTapsInside(geometry)) return;
  const { cols, out } = b.of(x);
  b.add({ op: 'maxPool', name: '', rows: windowsOf(geometry), cols, out, x, ...geometry });
}

function mix(b: Builder, x: ValueId): void {
  const { data } = b;
  const { rows: sources, cols } = b.of(x);
  const rows = data.integer(1, 12);
  const taps = data.integer(1, 4);
  const out: Output = { type: 'i32' };
  b.add({
    ...{ op: 'mixRows', name: '', rows, cols, out, x, taps },
    index: Int32Array.from({ length: rows * taps }, () => data.integer(-1, sources - 1)),
    weight: data.fill(new Int16Array(rows * taps), -16384, 16384, taps),
    ...fittingRequantization(data, out, 42, 38, cols),
  });
}

function normalizeMap(b: Builder, x: ValueId): void {
  const { data } = b;
  const { rows, cols } = b.of(x);
  const out = data.output(data.pick(['u8', 'rows'] as const));
  const groups = data.pick([1, 2, 3, cols].filter((g) => cols % g === 0));
  const normalized = b.add({
    ...{ op: 'groupNorm', name: '', rows, cols, out, x: toWords(b, x), groups, epsilon: BigInt(data.integer(0, 5000)) },
    ...fittingRequantization(data, out, 30, 28, cols),
  });
  linear(b, normalized, cols, { type: 'i32' }, data.integer(0, 3) > 0 ? x : null);
}

/** Small whole programs with branches, dead ends, and outputs that need only some rows of what came before. */
export const anyProgram: fc.Arbitrary<Program> = fc
  .record({
    across: fc.integer({ min: 1, max: 4 }),
    patch: fc.integer({ min: 1, max: 3 }),
    width: fc.integer({ min: 1, max: 30 }),
    growth: fc.integer({ min: 1, max: 7 }),
    seed: fc.integer(),
  })
  .map(({ across, patch, width, growth, seed }) => {
    const b = new Builder(new Data(seed));
    const wide: Output = { type: 'i32' };
    const size = across * patch;
    const rows = across * across;
    const pixels = b.add({
      op: 'patches',
      name: '',
      rows,
      cols: patch * patch * 3,
      out: { type: 'u8', zero: 0 },
      kernel: [patch, patch],
      stride: [patch, patch],
      pad: [0, 0],
      dilation: [1, 1],
      outSize: [across, across],
    });
    let x = linear(b, pixels, width, wide);
    b.add({
      op: 'constant',
      name: '',
      rows,
      cols: width,
      out: wide,
      data: b.data.fill(new Int32Array(rows * width), -30000, 30000),
    });
    for (let i = 0; i < growth; i++) {
      b.data.pick(GROWTHS)(b, x);
      x = b.data.pick(b.all('i32').slice(-2));
    }
    const output = linear(b, quantizeInput(b, x), b.data.integer(1, 20), wide);
    return { input: { height: size, width: size, channels: 3 }, ops: b.ops, output };
  });
