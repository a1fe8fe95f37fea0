import { open, readFile, stat } from 'node:fs/promises';
import type Sharp from 'sharp';
import { InputError, coded } from '../errors.js';
import { nearFile } from '../near-file.js';
import { packageRequire } from '../package-root.js';
import { ownDecoder } from './formats/own.js';
import { MAX_PIXELS } from './formats/pixels.js';
import { withValidOrientation } from './formats/tiff.js';
import { TELLING_BYTES, unsupportedImage } from './formats/recognize.js';
import type { PixelImage } from './image.js';

/**
 * Decodes an image file, or its bytes, to 8-bit RGB; a .npy array to the channels that it has.
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
): Promise<PixelImage> {
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
 * @param mostPixels an image of more is refused before it is decoded
 * @throws InputError as `decodeImage`
 */
export async function decodeOriented(
  input: string | Uint8Array,
  exif: ExifMode,
  name?: string,
  mostPixels = MAX_PIXELS,
): Promise<{ image: PixelImage; isTurned: boolean }> {
  try {
    return await decodeAny(input, exif, name ?? (typeof input === 'string' ? input : 'the image'), mostPixels);
  } catch (error) {
    throw coded(error, 'BAD_IMAGE');
  }
}

async function decodeAny(
  input: string | Uint8Array,
  exif: ExifMode,
  title: string,
  mostPixels: number,
): Promise<{ image: PixelImage; isTurned: boolean }> {
  const start = await readStart(input, title);
  const unsupported = unsupportedImage(start);
  if (unsupported !== null) throw new InputError(`Cannot decode ${title}: ${unsupported}`);
  const own = ownDecoder(start);
  if (own !== undefined)
    return { image: await decodeItself((bytes) => own(bytes, mostPixels), input, title), isTurned: false };
  const decoder = loadSharp();
  try {
    const settings = { failOn: 'error', ignoreIcc: true, limitInputPixels: mostPixels } as const;
    const { space, format, orientation: tag = 1 } = await decoder(input, settings).metadata();
    // Whatever else this build of the decoder reads, others do not.
    if (!FORMATS.has(format)) throw new Error(`images of format ${format} are not supported: convert to PNG`);
    // Numbers that are no orientation mean none, as for Pillow; sharp would refuse them.
    const orientation = tag >= 1 && tag <= 8 ? tag : 1;
    const isTurned = orientation !== 1 && format !== 'tiff';
    const autoOrient = orientation !== 1 && (format === 'tiff' || exif === 'apply');
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
    const mended = /"Orientation"/.test(String(error)) && withValidOrientation(await bytesOf(input));
    if (mended) return decodeAny(mended, exif, title, mostPixels);
    throw new InputError(`Cannot decode ${title}: ${causeOf(error, mostPixels)}`, { cause: error });
  }
}

const bytesOf = async (input: string | Uint8Array): Promise<Uint8Array> =>
  typeof input === 'string' ? readFile(input) : input;

let sharp: typeof Sharp | undefined;

const FORMATS: ReadonlySet<string> = new Set(['jpeg', 'png', 'webp', 'tiff', 'gif', 'heif']);

/** Loaded when the first image is decoded, so that all else works where its binary is missing. */
export function loadSharp(): typeof Sharp {
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

/** What is decoded here, and not by sharp. */
async function decodeItself(
  decoder: (bytes: Uint8Array) => PixelImage,
  input: string | Uint8Array,
  title: string,
): Promise<PixelImage> {
  try {
    return decoder(await bytesOf(input));
  } catch (error) {
    throw new InputError(`Cannot decode ${title}: ${(error as Error).message}`, { cause: error });
  }
}

/** The first bytes of an image. */
async function readStart(input: string | Uint8Array, title: string): Promise<Uint8Array> {
  const refusal = (reason: string, cause?: unknown, code?: 'NOT_FOUND') =>
    new InputError(`Cannot decode ${title}: ${reason}`, { cause, code });
  if (typeof input !== 'string') {
    if (input.length === 0) throw refusal('it is empty');
    return input.subarray(0, TELLING_BYTES);
  }
  const info = await stat(input).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT'
      ? refusal(`no such file${nearFile(input)}`, error, 'NOT_FOUND')
      : refusal(error.message, error);
  });
  if (info.isDirectory()) throw refusal('it is a folder');
  if (!info.isFile()) throw refusal('it is no regular file');
  if (info.size === 0) throw refusal('it is empty');
  const file = await open(input).catch((error: Error) => {
    throw refusal(error.message, error);
  });
  try {
    const start = new Uint8Array(TELLING_BYTES);
    return start.subarray(0, (await file.read(start)).bytesRead);
  } finally {
    await file.close();
  }
}

/** One line that says what libvips found; its messages repeat the path and end in further lines. */
function causeOf(error: unknown, mostPixels: number): string {
  const message = (error instanceof Error ? error.message : String(error)).split('\n')[0]!.trim();
  if (/unsupported image format/i.test(message))
    return 'not an image in a known format (JPEG, PNG, WebP, TIFF, GIF, AVIF, BMP, PPM)';
  if (/exceeds pixel limit/i.test(message)) return `more than ${mostPixels} pixels: make it smaller`;
  return /^Vips/.test(message) ? `it is damaged or cut off (${message}): copy it again` : message;
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
