import { bitLength } from '../../src/kernels/dyadic.js';
import { Random } from '../../src/images/random.js';
import type { Op, Output, Program, ValueId } from '../../src/program/types.js';

export interface VitShape {
  readonly imageSize: number;
  readonly patchSize: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly hidden: number;
  readonly classes: number;
  /** How linear inputs are quantized: `u8` statically, `rows` dynamically. */
  readonly scales: 'static' | 'dynamic';
}

export const DEIT_TINY: VitShape = {
  imageSize: 224,
  patchSize: 16,
  width: 192,
  depth: 12,
  heads: 3,
  hidden: 768,
  classes: 1000,
  scales: 'static',
};

export const DEIT_SMALL: VitShape = { ...DEIT_TINY, width: 384, heads: 6, hidden: 1536 };

/**
 * A Vision Transformer of the usual build with random integers for parameters, scaled so that activations fill their
 * ranges as those of a quantized model do: for measuring and testing engines without a model.
 */
export function syntheticVit(shape: VitShape, seed = 1): Program {
  const { imageSize, patchSize, width, depth, heads, hidden, classes } = shape;
  const random = new Random(seed);
  const across = Math.trunc(imageSize / patchSize);
  const patches = across * across;
  const tokens = patches + 1;
  const dim = Math.trunc(width / heads);
  const ops: Op[] = [];
  const add = (op: Op): ValueId => ops.push({ ...op, name: `${ops.length}.${op.op}` });

  const spread = (n: number, limit: number) =>
    Int32Array.from({ length: n }, () => random.integer(2 * limit + 1) - limit);
  const weights = (n: number) =>
    Int8Array.from({ length: n }, () => {
      const bell = random.integer(85) + random.integer(85) + random.integer(85);
      return bell - 126;
    });
  /** Multipliers of `bits` bits and the shift that together are about `ratio`. */
  const scale = (n: number, ratio: number, bits = 31) => {
    const exponent = Math.floor(Math.log2(ratio)) + 1;
    const mantissa = Math.round((ratio / 2 ** exponent) * 2 ** bits);
    return {
      multiplier: Int32Array.from({ length: n }, () =>
        Math.min(2 ** bits - 1, mantissa - random.integer(2 ** (bits - 3))),
      ),
      shift: bits - exponent,
    };
  };
  const input: Output = shape.scales === 'static' ? { type: 'u8', zero: 128 } : { type: 'rows' };
  /** How a linear layer's input is quantized: 127 steps, or 2^20, make four standard deviations. */
  const inputUnit = shape.scales === 'static' ? 32 : 1 << 18;
  const rowShift = (inFeatures: number) => (shape.scales === 'static' ? 0 : 12 + bitLength(inFeatures) - 8);

  const linear = (
    x: ValueId,
    rows: number,
    inFeatures: number,
    cols: number,
    out: Output,
    spreadOut: number,
    residual: ValueId | null = null,
    image = false,
  ): ValueId => {
    const shift = image ? 0 : rowShift(inFeatures);
    // A dynamic row's sum grows by M'/2^rowShift, M' about 2^20.
    const gain =
      (image ? 73 : 32) * 42 * Math.sqrt(inFeatures) * (image || shape.scales === 'static' ? 1 : 2 ** (20 - shift));
    return add({
      op: 'linear',
      name: '',
      rows,
      cols,
      out,
      x,
      inFeatures,
      weightBits: 8,
      residual,
      rowShift: shift,
      weight: weights(inFeatures * cols),
      bias: spread(cols, 2000),
      ...scale(cols, spreadOut / gain),
    });
  };
  const layerNorm = (x: ValueId, rows: number): ValueId =>
    add({
      op: 'layerNorm',
      name: '',
      rows,
      cols: width,
      out: input,
      x,
      center: true,
      epsilon: 1000n,
      ...scale(width, (inputUnit * Math.sqrt(width)) / 2 ** 30),
      offset: BigInt64Array.from({ length: width }, () => BigInt(random.integer(1 << 30)) << 20n),
    });

  const pixels = add({
    op: 'patches',
    name: '',
    rows: patches,
    cols: patchSize * patchSize * 3,
    out: { type: 'u8', zero: 0 },
    kernel: [patchSize, patchSize],
    stride: [patchSize, patchSize],
    pad: [0, 0],
    dilation: [1, 1],
    outSize: [across, across],
  });
  const wide: Output = { type: 'i32' };
  const embedded = linear(pixels, patches, patchSize * patchSize * 3, width, wide, 20000, null, true);
  const classToken = add({ op: 'constant', name: '', rows: 1, cols: width, out: wide, data: spread(width, 40000) });
  const sequence = add({
    op: 'gather',
    name: '',
    rows: tokens,
    cols: width,
    out: wide,
    sources: [classToken, embedded],
    piece: width,
    index: Int32Array.from({ length: tokens }, (_, i) => i),
    fill: 0,
  });
  const positions = add({
    op: 'constant',
    name: '',
    rows: tokens,
    cols: width,
    out: wide,
    data: spread(tokens * width, 20000),
  });
  let x = add({ op: 'add', name: '', rows: tokens, cols: width, out: wide, a: sequence, b: positions });

  // GELU at 10 fraction bits: H(a) = a·Φ(−a), by its logistic approximation, at steps of 2^6.
  const knots = Int16Array.from({ length: 64 }, (_, i) =>
    Math.round((i * 64) / (1 + Math.exp((1.702 * i * 64) / 1024))),
  );
  for (let block = 0; block < depth; block++) {
    const qkv = linear(layerNorm(x, tokens), tokens, width, 3 * width, { type: 'i8' }, 32);
    const view = (offset: number) => ({ x: qkv, stride: 3 * width, rows: null, offset, headStride: dim });
    const { multiplier: scoreMultiplier, shift: scoreShift } = scale(
      heads,
      (2 * 1024) / (32 * 32 * Math.sqrt(dim)),
      10,
    );
    const attended = add({
      op: 'attention',
      name: '',
      rows: tokens,
      cols: width,
      out: input,
      q: view(0),
      k: view(width),
      v: view(2 * width),
      batch: 1,
      heads,
      queries: tokens,
      keys: tokens,
      dim,
      valueDim: dim,
      softmax: 'quadratic',
      softmaxBits: 8,
      fractionBits: 10,
      scoreMultiplier,
      scoreShift,
      bias: null,
      biasBatch: 1,
      biasHeads: 1,
      ...scale(width, (3 * inputUnit) / (32 * 2 ** 23)),
    });
    x = linear(attended, tokens, width, width, wide, 8000, x);
    const up = linear(layerNorm(x, tokens), tokens, width, hidden, { type: 'i16' }, 1024);
    const activated = add({
      op: 'activation',
      name: '',
      rows: tokens,
      cols: hidden,
      out: input,
      x: up,
      knots,
      spacing: 6,
      ...scale(hidden, inputUnit / 1024, 15),
      offset: BigInt64Array.from({ length: hidden }, () => -BigInt(random.integer(1 << 6))),
    });
    x = linear(activated, tokens, hidden, width, wide, 8000, x);
  }
  const first = add({
    op: 'gather',
    name: '',
    rows: 1,
    cols: width,
    out: wide,
    sources: [x],
    piece: width,
    index: Int32Array.of(0),
    fill: 0,
  });
  const output = linear(layerNorm(first, 1), 1, width, classes, wide, 100000);
  return { input: { height: imageSize, width: imageSize, channels: 3 }, ops, output };
}

/** Pixels for it: seeded noise that varies smoothly over the image, as photographs do. */
export function syntheticImage({ input }: Program, seed = 1): Uint8Array {
  const random = new Random(seed);
  let level = 128;
  return Uint8Array.from({ length: input.height * input.width * input.channels }, () => {
    level = Math.max(0, Math.min(255, level + random.integer(41) - 20));
    return level;
  });
}
