/**
 * Image resizing in integers, bit-equal to Pillow's 8-bit `Image.resize` with antialiasing (`libImaging/Resample.c`)
 * for images of any channels: weights with 22 fraction bits, a horizontal then a vertical pass, each rounding to 8
 * bits.
 */
import type { PixelImage } from './image.js';

/** The filters of torchvision's and timm's pipelines; bicubic is Keys' with a = −½. */
export const INTERPOLATIONS = ['bicubic', 'bilinear'] as const;
export type Interpolation = (typeof INTERPOLATIONS)[number];

/** A rectangle of pixels. */
export interface Window {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** 32 bits less 8 for the pixel and 2 for what negative lobes add: sums of products fit an i32. */
const FRACTION_BITS = 32 - 8 - 2;
const ONE = 1 << FRACTION_BITS;
const HALF = ONE >> 1;

/**
 * Resizes to `width` × `height` and returns the part of the result inside `window` (all of it by default): what a crop
 * leaves out costs nothing, and the bits are those of cropping afterwards.
 */
export function resize(
  image: PixelImage,
  width: number,
  height: number,
  interpolation: Interpolation,
  window: Window = { left: 0, top: 0, width, height },
): PixelImage {
  const columns = resampleTaps(image.width, width, interpolation, window.left, window.width);
  const rows = resampleTaps(image.height, height, interpolation, window.top, window.height);
  const firstRow = rows.first[0]!;
  const lastRow = rows.first[window.height - 1]! + rows.count[window.height - 1]!;
  const narrowed = resampleColumns(image, columns, firstRow, lastRow);
  const { channels = 3 } = image;
  const data = resampleRows(narrowed, channels * window.width, rows, firstRow);
  return { data, width: window.width, height: window.height, ...(channels !== 3 && { channels }) };
}

/**
 * Cuts `width` × `height` pixels out of the middle as torchvision's `CenterCrop` does: an odd margin is split by
 * rounding half to even, and an image that is too small is first padded with black.
 */
export function centerCrop(image: PixelImage, width: number, height: number): PixelImage {
  const { channels = 3 } = image;
  const left = centerOffset(image.width, width);
  const top = centerOffset(image.height, height);
  const fromX = Math.max(0, left);
  const toX = Math.max(0, -left);
  const rowBytes = channels * Math.min(image.width, width);
  const data = new Uint8Array(channels * width * height);
  for (let row = Math.max(0, -top); row < height && row + top < image.height; row++) {
    const source = channels * ((row + top) * image.width + fromX);
    data.set(image.data.subarray(source, source + rowBytes), channels * (row * width + toX));
  }
  return { data, width, height, ...(channels !== 3 && { channels }) };
}

/** Where a centre crop of `crop` pixels begins in `size` pixels; negative where padding comes first. */
export function centerOffset(size: number, crop: number): number {
  if (crop > size) return -((crop - size) >> 1);
  return roundHalfToEven((size - crop) / 2);
}

/** Python's `round`. */
export function roundHalfToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}

/** Which input samples each output sample reads, and their weights. */
interface Taps {
  /** Per output sample: the first input sample. */
  readonly first: Int32Array;
  /** Per output sample: how many input samples. */
  readonly count: Int32Array;
  /** Per output sample: `stride` weights with 22 fraction bits, of which `count` are used. */
  readonly weights: Int32Array;
  readonly stride: number;
}

/**
 * The taps of output samples `offset` to `offset + length − 1` of `outSize`. In double precision and in Pillow's order
 * of operations, as the rounded weights depend on both.
 */
function resampleTaps(
  inSize: number,
  outSize: number,
  interpolation: Interpolation,
  offset: number,
  length: number,
): Taps {
  if (inSize === outSize) {
    return {
      first: Int32Array.from({ length }, (_, i) => offset + i),
      count: new Int32Array(length).fill(1),
      weights: new Int32Array(length).fill(ONE),
      stride: 1,
    };
  }
  const filter = interpolation === 'bicubic' ? bicubic : bilinear;
  const scale = inSize / outSize;
  const filterScale = Math.max(scale, 1);
  const support = (interpolation === 'bicubic' ? 2 : 1) * filterScale;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(length);
  const count = new Int32Array(length);
  const weights = new Int32Array(length * stride);
  const reals = new Float64Array(stride);
  const perSample = 1 / filterScale;
  for (let i = 0; i < length; i++) {
    const center = (offset + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const taps = Math.min(inSize, Math.trunc(center + support + 0.5)) - start;
    let sum = 0;
    for (let t = 0; t < taps; t++) {
      const weight = filter((t + start - center + 0.5) * perSample);
      reals[t] = weight;
      sum += weight;
    }
    for (let t = 0; t < taps; t++) {
      const weight = (sum === 0 ? reals[t]! : reals[t]! / sum) * ONE;
      weights[i * stride + t] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    first[i] = start;
    count[i] = taps;
  }
  return { first, count, weights, stride };
}

function bilinear(x: number): number {
  const distance = Math.abs(x);
  return distance < 1 ? 1 - distance : 0;
}

function bicubic(x: number): number {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return (((d - 5) * d + 8) * d - 4) * a;
  return 0;
}

/** Rows `firstRow` to `lastRow − 1` of the image, resampled along the row. */
function resampleColumns(image: PixelImage, taps: Taps, firstRow: number, lastRow: number): Uint8Array {
  if ((image.channels ?? 3) !== 3) return resamplePlanes(image, taps, firstRow, lastRow);
  const { first, count, weights, stride } = taps;
  const width = first.length;
  const source = image.data;
  const out = new Uint8Array(3 * width * (lastRow - firstRow));
  let target = 0;
  for (let row = firstRow; row < lastRow; row++) {
    const rowStart = 3 * image.width * row;
    for (let column = 0; column < width; column++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let from = rowStart + 3 * first[column]!;
      const start = column * stride;
      const end = start + count[column]!;
      for (let k = start; k < end; k++) {
        const weight = weights[k]!;
        red = (red + Math.imul(source[from]!, weight)) | 0;
        green = (green + Math.imul(source[from + 1]!, weight)) | 0;
        blue = (blue + Math.imul(source[from + 2]!, weight)) | 0;
        from += 3;
      }
      out[target] = toByte(red);
      out[target + 1] = toByte(green);
      out[target + 2] = toByte(blue);
      target += 3;
    }
  }
  return out;
}

/** As `resampleColumns`, for any number of channels. */
function resamplePlanes(image: PixelImage, taps: Taps, firstRow: number, lastRow: number): Uint8Array {
  const { first, count, weights, stride } = taps;
  const { data, channels = 3 } = image;
  const out = new Uint8Array(channels * first.length * (lastRow - firstRow));
  for (let target = 0; target < out.length; target++) {
    const pixel = Math.floor(target / channels);
    const column = pixel % first.length;
    const row = firstRow + Math.floor(pixel / first.length);
    let from = channels * (image.width * row + first[column]!) + (target % channels);
    let sum = HALF;
    for (let k = column * stride; k < column * stride + count[column]!; k++, from += channels)
      sum = (sum + Math.imul(data[from]!, weights[k]!)) | 0;
    out[target] = toByte(sum);
  }
  return out;
}

/** Rows of `rowBytes` bytes, the first of them being row `firstRow` of the image, resampled across rows. */
function resampleRows(source: Uint8Array, rowBytes: number, taps: Taps, firstRow: number): Uint8Array {
  const { first, count, weights, stride } = taps;
  const height = first.length;
  const out = new Uint8Array(rowBytes * height);
  for (let row = 0; row < height; row++) {
    const start = row * stride;
    const end = start + count[row]!;
    const top = (first[row]! - firstRow) * rowBytes;
    const target = row * rowBytes;
    for (let x = 0; x < rowBytes; x++) {
      let sum = HALF;
      let from = top + x;
      for (let k = start; k < end; k++) {
        sum = (sum + Math.imul(source[from]!, weights[k]!)) | 0;
        from += rowBytes;
      }
      out[target + x] = toByte(sum);
    }
  }
  return out;
}

function toByte(sum: number): number {
  const value = sum >> FRACTION_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
