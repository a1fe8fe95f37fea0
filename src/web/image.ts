import { UsageError } from '../errors.js';
import { MAX_CHANNELS, type PixelImage } from '../images/image.js';
import { checkCount, isBytes, typeOf } from './checks.js';

/** An image of bytes: RGB, RGBA as a canvas's `ImageData` has it, or as many channels as it says. */
export interface WebImage {
  /** Row-major, channels last. */
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  /** 3 or 4 where it is left out: what the length of `data` says. */
  readonly channels?: number;
}

/**
 * The image as the model's recipe takes it, in bytes of its own: what is done to `data` afterwards changes nothing.
 * Alpha is dropped without blending, as Pillow does.
 *
 * @throws UsageError where the sizes disagree, or it is no image of bytes
 */
export function pixelImage(image: WebImage): PixelImage {
  const { data, width, height, channels } = (image ?? {}) as Partial<WebImage>;
  if (!isBytes(data))
    throw new UsageError(
      `An image is { data, width, height } with data of type Uint8Array or Uint8ClampedArray, not ${typeOf(data)}`,
    );
  checkCount('width', width);
  checkCount('height', height);
  const own = channels ?? data.length / (width! * height!);
  const isWhole = Number.isInteger(own) && own >= 1 && own <= MAX_CHANNELS && data.length === own * width! * height!;
  if (!isWhole || (channels === undefined && own !== 3 && own !== 4)) {
    const wanted = channels === undefined ? '3 or 4 bytes a pixel' : `${channels} bytes a pixel`;
    throw new UsageError(`An image of ${width}×${height} has ${data.length} bytes, which are not ${wanted}`);
  }
  const size = { width: width!, height: height! };
  return own === 4 ? { data: withoutAlpha(data), ...size } : { data: new Uint8Array(data), ...size, channels: own };
}

function withoutAlpha(rgba: Uint8Array | Uint8ClampedArray): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  return rgb;
}
