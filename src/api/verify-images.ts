/** Images that drive a program to its limits. */
import type { LinearOp, PatchesOp, Program } from '../program/types.js';
import { Random } from '../images/random.js';

export interface ProbeImage {
  readonly name: string;
  readonly pixels: Uint8Array;
}

/** Channels of the first layer that are driven up and down. */
const CHANNELS = 4;

/** All dark, all bright, checkerboards, noise, and those that make the first layers' sums as large as they can be. */
export function probeImages(program: Program, noise: number, seed: number): ProbeImage[] {
  const { height, width, channels } = program.input;
  const image = (name: string, at: (y: number, x: number, c: number) => number): ProbeImage => ({
    name,
    pixels: Uint8Array.from({ length: height * width * channels }, (_, i) => {
      const pixel = Math.floor(i / channels);
      return at(Math.floor(pixel / width), pixel % width, i % channels);
    }),
  });
  const random = new Random(seed);
  return [
    image('all 0', () => 0),
    image('all 255', () => 255),
    image('checkerboard', (y, x) => 255 * ((x + y) % 2)),
    image('checkerboard of 16', (y, x) => 255 * (((x >> 4) + (y >> 4)) % 2)),
    ...extremes(program),
    ...Array.from({ length: noise }, (_, i) => image(`noise ${seed}.${i + 1}`, () => random.integer(256))),
  ];
}

/** For channels of the first layers with the largest weights: bright where the weight is positive, and its inverse. */
function extremes(program: Program): ProbeImage[] {
  return program.ops.flatMap((op) => {
    const patches = op.op === 'linear' ? program.ops[op.x - 1] : undefined;
    if (op.op !== 'linear' || patches?.op !== 'patches') return [];
    return largestChannels(op).flatMap((n) =>
      [1, -1].map((sign) => ({
        name: `${op.name}, channel ${n} ${sign > 0 ? 'up' : 'down'}`,
        pixels: bySigns(program, patches, op, { n, sign }),
      })),
    );
  });
}

function largestChannels({ cols, inFeatures, weight }: LinearOp): number[] {
  const sums = Array.from({ length: cols }, (_, n) => {
    let sum = 0;
    for (let k = n * inFeatures; k < (n + 1) * inFeatures; k++) sum += Math.abs(weight[k]);
    return sum;
  });
  const order = sums.map((_, n) => n).sort((a, b) => sums[b] - sums[a]);
  return order.slice(0, CHANNELS);
}

function bySigns(
  { input }: Program,
  patches: PatchesOp,
  { weight, inFeatures }: LinearOp,
  { n, sign }: { readonly n: number; readonly sign: number },
): Uint8Array {
  const { height, width, channels } = input;
  const { kernel, stride, pad, dilation, outSize } = patches;
  const pixels = new Uint8Array(height * width * channels);
  for (let py = 0; py < outSize[0]; py++)
    for (let px = 0; px < outSize[1]; px++)
      for (let k = 0; k < inFeatures; k++) {
        const tap = Math.floor(k / channels);
        const y = py * stride[0] - pad[0] + Math.floor(tap / kernel[1]) * dilation[0];
        const x = px * stride[1] - pad[1] + (tap % kernel[1]) * dilation[1];
        if (y < 0 || y >= height || x < 0 || x >= width) continue;
        if (sign * weight[n * inFeatures + k] > 0) pixels[(y * width + x) * channels + (k % channels)] = 255;
      }
  return pixels;
}
