/** From a painted canvas to a photograph: focus, exposure, sensor noise. */
import type { RgbImage } from '../image.js';
import type { Random } from '../random.js';
import type { Canvas } from './canvas.js';

/** Two box blurs of `radius`, roughly a Gaussian, edges repeated. */
export function blur({ data, width, height }: Canvas, radius: number): void {
  const line = new Float32Array(Math.max(width, height));
  for (let pass = 0; pass < 2; pass++) {
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < height; y++)
        boxBlur({ data, start: 3 * y * width + c, step: 3, length: width }, radius, line);
      for (let x = 0; x < width; x++)
        boxBlur({ data, start: 3 * x + c, step: 3 * width, length: height }, radius, line);
    }
  }
}

/** One channel of a row or column of a canvas: `length` elements of `data`, `step` apart from `start` on. */
interface Strip {
  readonly data: Float32Array;
  readonly start: number;
  readonly step: number;
  readonly length: number;
}

/** Blurs a strip in place; `line` is room for a copy of it. */
function boxBlur({ data, start, step, length }: Strip, radius: number, line: Float32Array): void {
  for (let i = 0; i < length; i++) line[i] = data[start + i * step]!;
  const last = length - 1;
  const share = 1 / (2 * radius + 1);
  let sum = 0;
  for (let i = -radius; i <= radius; i++) sum += line[Math.min(last, Math.max(0, i))]!;
  for (let i = 0; i < length; i++) {
    data[start + i * step] = sum * share;
    sum += line[Math.min(last, i + radius + 1)]! - line[Math.max(0, i - radius)]!;
  }
}

/** Sets exposure and contrast as photographs have them, adds a little sensor noise, and rounds to bytes. */
export function develop({ data, width, height }: Canvas, random: Random): RgbImage {
  let sum = 0;
  let squares = 0;
  for (const value of data) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / data.length;
  const deviation = Math.sqrt(Math.max(1e-6, squares / data.length - mean * mean));
  const exposure = 0.46 + 0.12 * random.normal();
  const contrast = Math.max(0.06, 0.245 + 0.06 * random.normal()) / deviation;
  const noise = random.uniform() < 0.5 ? 0.02 * random.uniform() : 0;
  const bytes = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i++) {
    const grain = noise === 0 ? 0 : noise * (2 * random.uniform() - 1);
    bytes[i] = 255 * (exposure + contrast * (data[i]! - mean) + grain);
  }
  return { data: new Uint8Array(bytes.buffer), width, height };
}
