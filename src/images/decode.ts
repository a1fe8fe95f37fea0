import { stat } from 'node:fs/promises';
import type Sharp from 'sharp';
import { InputError } from '../errors.js';
import { packageRequire } from '../package-root.js';
import type { RgbImage } from './image.js';

/** The most pixels an image may have; the number at which Pillow, too, refuses to decode. */
export const MAX_PIXELS = 178_956_970;

/**
 * Decodes an image file, or its bytes, to 8-bit RGB.
 *
 * The pixels are those of Pillow's `Image.open(f).convert('RGB')`: the stored orientation, unless `options.exif` is
 * `apply`, colour profiles ignored, alpha dropped without blending, palettes expanded, CMYK by Pillow's plain formula,
 * the first frame of an animation. One thing differs: 16-bit grey keeps its high byte, where Pillow saturates at 255.
 *
 * @param input path of a file, or the bytes of one
 * @param name what errors call it; the path, unless given
 * @throws InputError naming the image and the cause: missing, not an image, truncated, corrupt or too large
 */
export async function decodeImage(
  input: string | Uint8Array,
  name?: string,
  options: DecodeOptions = {},
): Promise<RgbImage> {
  return (await decodeOriented(input, options.exif ?? 'ignore', name)).image;
}

/**
 * What to do where a photograph's EXIF data say that it lies on its side: turn it upright, or keep the stored pixels.
 */
export type ExifMode = 'apply' | 'ignore';

export interface DecodeOptions {
  /** Default: `ignore`, as Pillow and Python's datasets do. */
  readonly exif?: ExifMode;
}

/**
 * As `decodeImage`; tells too whether the image has an orientation other than upright. A TIFF is always turned, as
 * Pillow turns it.
 *
 * @throws InputError as `decodeImage`
 */
export async function decodeOriented(
  input: string | Uint8Array,
  exif: ExifMode,
  name?: string,
): Promise<{ image: RgbImage; isTurned: boolean }> {
  const title = name ?? (typeof input === 'string' ? input : 'the image');
  await refuseUnreadable(input, title);
  const decoder = loadSharp();
  try {
    const settings = { failOn: 'error', ignoreIcc: true, limitInputPixels: MAX_PIXELS } as const;
    const { space, format, orientation = 1 } = await decoder(input, settings).metadata();
    const isTurned = orientation !== 1 && format !== 'tiff';
    const autoOrient = format === 'tiff' || exif === 'apply';
    const open = () => decoder(input, { ...settings, autoOrient });
    const isCmyk = space === 'cmyk';
    const pipeline = isCmyk
      ? open().pipelineColourspace('cmyk').toColourspace('cmyk')
      : open().toColourspace('srgb').removeAlpha();
    const { data, info } = await pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    const { width, height } = info;
    if (isCmyk) return { image: { data: cmykToRgb(data, info.channels, width * height), width, height }, isTurned };
    if (info.channels !== 3) throw new Error(`decoded to ${info.channels} channels instead of 3`);
    return { image: { data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength), width, height }, isTurned };
  } catch (error) {
    throw new InputError(`Cannot decode ${title}: ${causeOf(error, title)}`, { cause: error });
  }
}

let sharp: typeof Sharp | undefined;

/** Loaded when the first image is decoded, so that all else works where its binary is missing. */
function loadSharp(): typeof Sharp {
  if (sharp !== undefined) return sharp;
  try {
    // As a CommonJS module, which loads in half the time: its ES modules are the same code.
    sharp = packageRequire()('sharp') as typeof Sharp;
  } catch (error) {
    const reason = (error as Error).message.split('\n').find((line) => line.trim() !== '');
    throw new InputError(
      `The image decoder sharp does not load (${reason}): \`npm install sharp\` brings it for this platform`,
      { cause: error },
    );
  }
  // One decoding thread and no cache of decoded operations: images are decoded once each, several at a time where the
  // caller wants that, and memory then stays at about one image per call.
  sharp.concurrency(1);
  sharp.cache(false);
  return sharp;
}

async function refuseUnreadable(input: string | Uint8Array, title: string): Promise<void> {
  if (typeof input !== 'string') {
    if (input.length === 0) throw new InputError(`Cannot decode ${title}: it is empty`);
    return;
  }
  const info = await stat(input).catch((error: NodeJS.ErrnoException) => {
    const cause = error.code === 'ENOENT' ? 'no such file' : error.message;
    throw new InputError(`Cannot decode ${title}: ${cause}`, { cause: error });
  });
  if (info.isDirectory()) throw new InputError(`Cannot decode ${title}: it is a folder`);
  if (!info.isFile()) throw new InputError(`Cannot decode ${title}: it is no regular file`);
  if (info.size === 0) throw new InputError(`Cannot decode ${title}: it is empty`);
}

/** One line that says what libvips found; its messages repeat the path and end in further lines. */
function causeOf(error: unknown, title: string): string {
  const message = (error instanceof Error ? error.message : String(error)).split('\n')[0]!.trim();
  const other = /\.(heic|heif|jxl|jp2|j2k|bmp|ppm|pgm|pnm)$/i.exec(title)?.[1];
  if (other !== undefined && /unsupported|heif|codec|not built in|loader/i.test(message))
    return `${other.toUpperCase()} images are not supported; convert it to PNG or JPEG`;
  if (/unsupported image format/i.test(message))
    return 'not an image in a known format (JPEG, PNG, WebP, TIFF, GIF, AVIF)';
  if (/exceeds pixel limit/i.test(message)) return `more than ${MAX_PIXELS} pixels`;
  return message;
}

/** Pillow's CMYK to RGB: R = 255 − K − C·(255 − K)/255, rounded as Pillow's MULDIV255 does. */
function cmykToRgb(cmyk: Uint8Array, channels: number, pixels: number): Uint8Array {
  const rgb = new Uint8Array(pixels * 3);
  for (let p = 0; p < pixels; p++) {
    const white = 255 - cmyk[p * channels + 3]!;
    for (let c = 0; c < 3; c++) {
      const product = cmyk[p * channels + c]! * white + 128;
      rgb[p * 3 + c] = Math.max(0, white - (((product >> 8) + product) >> 8));
    }
  }
  return rgb;
}
