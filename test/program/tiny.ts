import { Random } from '../../src/images/random.js';
import type { IvitModel } from '../../src/program/model.js';
import { outputsByDefault } from '../../src/program/output.js';
import type { Op, Program } from '../../src/program/types.js';

/**
 * A hand-made integer ViT on 8×8 pixels that has every kind of op once at least: 4 patches and a class token of 8
 * channels, one block of 2 heads, 3 classes. Its numbers are seeded noise of sensible size.
 */
export function tinyProgram(seed = 1): Program {
  const random = new Random(seed);
  const between = (lo: number, hi: number) => lo + random.integer(hi - lo + 1);
  const i8 = (n: number, limit = 127) => Int8Array.from({ length: n }, () => between(-limit, limit));
  const i32 = (n: number, limit: number) => Int32Array.from({ length: n }, () => between(-limit, limit));
  const i64 = (n: number, limit: number) =>
    BigInt64Array.from({ length: n }, () => BigInt(between(-limit, limit)) << 20n);
  const multiplier = (n: number, scale: number) => Int32Array.from({ length: n }, () => between(scale >> 1, scale));
  const linear = (rows: number, cols: number, inFeatures: number, weightBits = 8) => ({
    op: 'linear' as const,
    rows,
    cols,
    inFeatures,
    weightBits,
    weight: i8(cols * inFeatures, (1 << (weightBits - 1)) - 1),
    bias: i32(cols, 1000),
    multiplier: multiplier(cols, 1 << 20),
    rowShift: 0,
    residual: null,
  });

  const ops: Op[] = [
    {
      op: 'patches',
      name: 'patches',
      rows: 4,
      cols: 48,
      out: { type: 'u8', zero: 0 },
      kernel: [4, 4],
      stride: [4, 4],
      pad: [0, 0],
      dilation: [1, 1],
      outSize: [2, 2],
    },
    { ...linear(4, 8, 48), name: 'embed', x: 1, out: { type: 'i32' }, shift: 20 },
    { op: 'constant', name: 'cls', rows: 1, cols: 8, out: { type: 'i32' }, data: i32(8, 100000) },
    {
      op: 'gather',
      name: 'tokens',
      rows: 5,
      cols: 8,
      out: { type: 'i32' },
      sources: [3, 2],
      piece: 8,
      index: Int32Array.of(0, 1, 2, 3, 4),
      fill: 0,
    },
    { op: 'constant', name: 'pos', rows: 5, cols: 8, out: { type: 'i32' }, data: i32(40, 100000) },
    { op: 'add', name: 'embedded', rows: 5, cols: 8, out: { type: 'i32' }, a: 4, b: 5 },
    {
      op: 'layerNorm',
      name: 'norm1',
      rows: 5,
      cols: 8,
      out: { type: 'u8', zero: 121 },
      x: 6,
      center: true,
      epsilon: 12345n,
      multiplier: multiplier(8, 1 << 28),
      offset: i64(8, 1 << 16),
      shift: 53,
    },
    { ...linear(5, 24, 8), name: 'qkv', x: 7, out: { type: 'i8' }, shift: 28 },
    {
      op: 'attention',
      name: 'attn',
      rows: 5,
      cols: 8,
      out: { type: 'u8', zero: 128 },
      q: { x: 8, stride: 24, rows: null, offset: 0, headStride: 4 },
      k: { x: 8, stride: 24, rows: Int32Array.of(4, 3, 2, 1, 0), offset: 8, headStride: 4 },
      v: { x: 8, stride: 24, rows: null, offset: 16, headStride: 4 },
      batch: 1,
      heads: 2,
      queries: 5,
      keys: 5,
      dim: 4,
      valueDim: 4,
      softmax: 'quadratic',
      softmaxBits: 8,
      fractionBits: 10,
      scoreMultiplier: multiplier(2, 1 << 12),
      scoreShift: 16,
      bias: i32(50, 5000),
      biasBatch: 1,
      biasHeads: 2,
      multiplier: multiplier(8, 1 << 12),
      shift: 34,
    },
    { ...linear(5, 8, 8), name: 'proj', x: 9, out: { type: 'i32' }, shift: 20, residual: 6 },
    {
      op: 'layerNorm',
      name: 'norm2',
      rows: 5,
      cols: 8,
      out: { type: 'rows' },
      x: 10,
      center: false,
      epsilon: 1n,
      multiplier: multiplier(8, 1 << 30),
      offset: i64(8, 1 << 16),
      shift: 45,
    },
    { ...linear(5, 16, 8, 6), name: 'fc1', x: 11, out: { type: 'i16' }, shift: 30, rowShift: 8 },
    {
      op: 'activation',
      name: 'gelu',
      rows: 5,
      cols: 16,
      out: { type: 'u8', zero: 10 },
      x: 12,
      knots: Int16Array.from({ length: 64 }, (_, i) => (i * (63 - i)) >> 2),
      spacing: 5,
      multiplier: multiplier(16, 1 << 24),
      offset: i64(16, 1 << 10),
      shift: 30,
    },
    { ...linear(5, 8, 16, 4), name: 'fc2', x: 13, out: { type: 'i32' }, shift: 18, residual: 10 },
    {
      op: 'meanRows',
      name: 'pool',
      rows: 1,
      cols: 8,
      out: { type: 'i32' },
      x: 14,
      group: 5,
      multiplier: multiplier(8, 1 << 20),
      shift: 22,
    },
    {
      op: 'rescale',
      name: 'quantize',
      rows: 1,
      cols: 8,
      out: { type: 'rows' },
      x: 15,
      multiplier: multiplier(8, 1 << 20),
      offset: i64(8, 1 << 3),
      shift: 20,
    },
    { ...linear(1, 3, 8), name: 'head', x: 16, out: { type: 'i32' }, shift: 16, rowShift: 12 },
  ];
  return { input: { height: 8, width: 8, channels: 3 }, ops, output: ops.length };
}

/** The same with the published kernels. */
export function tinyPaperProgram(seed = 1): Program {
  const program = tinyProgram(seed);
  const ops = program.ops.map((op): Op => {
    if (op.name === 'fc1') return { ...op, out: { type: 'i8' } };
    if (op.op === 'attention') return { ...op, softmax: { kind: 'paper', x0: -7, bits: 16 }, fractionBits: 0 };
    const { name, rows, cols, out } = op;
    if (op.op === 'layerNorm' && op.center) {
      const { x, multiplier, offset, shift } = op;
      return { op: 'paperNorm', name, rows, cols, out, x, multiplier, offset, shift };
    }
    if (op.op === 'activation') {
      const { x, multiplier, offset, shift } = op;
      return { op: 'paperGelu', name, rows, cols, out, x, x0: -12, multiplier, offset, shift };
    }
    return op;
  });
  return { ...program, ops };
}

/** The same with I-BERT's kernels. */
export function tinyIbertProgram(seed = 1): Program {
  const program = tinyProgram(seed);
  const ops = program.ops.map((op): Op => {
    if (op.op === 'attention') {
      return { ...op, softmax: { kind: 'ibert', bits: 16 }, softmaxBits: 8, fractionBits: 10 };
    }
    if (op.op !== 'activation') return op;
    const { name, rows, cols, out, x, multiplier, offset, shift } = op;
    return { op: 'ibertGelu', name, rows, cols, out, x, fractionBits: 9, multiplier, offset, shift };
  });
  return { ...program, ops };
}

/** The same with kernels in float32: a program that is not integer-only. */
export function tinyFloatProgram(seed = 1): Program {
  const program = tinyProgram(seed);
  const ops = program.ops.map((op): Op => {
    if (op.op === 'attention') {
      return { ...op, softmax: { kind: 'float', bits: 16 }, softmaxBits: 8, fractionBits: 10 };
    }
    if (op.op === 'layerNorm') return { ...op, op: 'floatNorm' };
    if (op.op !== 'activation') return op;
    const { name, rows, cols, out, x, multiplier, offset, shift } = op;
    return { op: 'floatGelu', name, rows, cols, out, x, fractionBits: 9, multiplier, offset, shift };
  });
  return { ...program, ops };
}

/** The patches again, by way of what combines two values or applies any function; 3 classes. */
export function tinyProductProgram(seed = 1): Program {
  const tiny = tinyProgram(seed);
  const random = new Random(seed);
  const multiplier = (n: number, scale: number) =>
    Int32Array.from({ length: n }, () => (scale >> 1) + random.integer(scale >> 1));
  const requantize = (cols: number, bits: number, shift: number) => ({
    multiplier: multiplier(cols, 2 ** bits),
    offset: new BigInt64Array(cols).fill(3n << 18n),
    shift,
  });
  const noise = (limit: number) => () => random.integer(2 * limit + 1) - limit;
  const wide = { type: 'i32' } as const;
  const words = { type: 'i16' } as const;
  const [head] = tiny.ops.slice(-1);
  const ops: Op[] = [
    ...tiny.ops.slice(0, 2),
    { op: 'rescale', name: 'tokens', rows: 4, cols: 8, out: words, x: 2, ...requantize(8, 20, 24) },
    { op: 'constant', name: 'gate', rows: 1, cols: 8, out: words, data: Int16Array.from({ length: 8 }, noise(32767)) },
    { op: 'multiply', name: 'gated', rows: 4, cols: 8, out: words, a: 3, b: 4, ...requantize(8, 24, 39) },
    {
      op: 'lookup',
      name: 'tanh',
      rows: 4,
      cols: 8,
      out: wide,
      x: 5,
      table: Int32Array.from({ length: 257 }, (_, i) => 16384 * (i - 128)),
      ...requantize(8, 20, 20),
    },
    { op: 'constant', name: 'sums', rows: 4, cols: 1, out: wide, data: Int32Array.of(100, -7, 0, 12345) },
    { op: 'divide', name: 'mean', rows: 4, cols: 8, out: wide, a: 6, b: 7, bits: 8, ...requantize(8, 20, 22) },
    {
      op: 'softmax',
      name: 'softmax',
      rows: 4,
      cols: 8,
      out: words,
      x: 8,
      kind: 'quadratic',
      fractionBits: 10,
      scoreMultiplier: 1 << 12,
      scoreShift: 20,
      ...requantize(8, 20, 21),
    },
    { op: 'constant', name: 'cos', rows: 2, cols: 4, out: words, data: Int16Array.from({ length: 8 }, noise(32767)) },
    { op: 'constant', name: 'sin', rows: 2, cols: 4, out: words, data: Int16Array.from({ length: 8 }, noise(32767)) },
    {
      op: 'rotate',
      name: 'turned',
      rows: 4,
      cols: 8,
      out: words,
      x: 9,
      cos: 10,
      sin: 11,
      column: 0,
      partner: Int32Array.of(2, 3, 0, 1, 6, 7, 4, 5),
      ...requantize(8, 24, 39),
    },
    {
      op: 'matmul',
      name: 'scores',
      rows: 4,
      cols: 8,
      out: { type: 'rows' },
      a: { x: 12, stride: 8, rows: null, offset: 0, headStride: 4 },
      b: { x: 3, stride: 8, rows: Int32Array.of(3, 2, 1, 0), offset: 0, headStride: 4 },
      batch: 1,
      heads: 2,
      m: 4,
      n: 4,
      k: 4,
      ...requantize(8, 20, 30),
    },
    { ...(tiny.ops.find(({ name }) => name === 'fc1') as Extract<Op, { op: 'linear' }>), name: 'up', rows: 4, x: 13 },
    {
      op: 'activation',
      name: 'gelu',
      rows: 4,
      cols: 16,
      out: { type: 'u8', zero: 10 },
      x: 14,
      knots: new Int16Array(64),
      spacing: 5,
      ...requantize(16, 24, 30),
    },
    { ...(tiny.ops.find(({ name }) => name === 'fc2') as Extract<Op, { op: 'linear' }>), name: 'down', rows: 4, x: 15 },
    { ...(tiny.ops.find(({ name }) => name === 'pool') as Extract<Op, { op: 'meanRows' }>), x: 16, group: 4 },
    { ...(tiny.ops.find(({ name }) => name === 'quantize') as Extract<Op, { op: 'rescale' }>), x: 17 },
    { ...(head as Extract<Op, { op: 'linear' }>), x: 18 },
  ];
  const withoutResidual = ops.map((op): Op => (op.name === 'down' ? ({ ...op, residual: null } as Op) : op));
  return { ...tiny, ops: withoutResidual, output: ops.length };
}

export function tinyModel(program = tinyProgram()): IvitModel {
  return {
    program,
    preprocess: { size: { height: 8, width: 8 }, resize: { mode: 'shortest', length: 9 }, interpolation: 'bicubic' },
    outputs: outputsByDefault(program),
    labels: ['cat', 'dog', 'newt'],
    logitScale: '0.00125',
    provenance: {
      tool: 'ivit test',
      source: { name: 'tiny.onnx', sha256: 'ab'.repeat(32), bytes: 4000, parameters: 1000 },
      normalization: {
        mean: ['0.485', '0.456', '0.406'],
        std: ['0.229', '0.224', '0.225'],
        scale: '0.00392156862745098',
        source: 'test',
      },
      settings: { kernels: 'lut', scales: 'static' },
      calibration: { images: 8, source: 'noise' },
    },
  };
}
