/** `ivit/web/decode`: image files to pixels in browsers, bit by bit those of ivit itself. */
import { InputError } from '../errors.js';
import { ownDecoder } from '../images/formats/own.js';
import { TELLING_BYTES, unsupportedImage } from '../images/formats/recognize.js';
import type { WebImage } from './image.js';
import { orientationOf, turned, type Decoder } from './orientation.js';
import { baseUrl, fetchBytes } from './source.js';

export { InputError } from '../errors.js';
export type { WebImage } from './image.js';

/** An image of a format, or of a colour space, that no codec here knows. */
export class UnknownFormatError extends InputError {
  override readonly code = 'BAD_IMAGE';
}

export interface DecodeOptions {
  /** What to do with photographs that lie on their side: `apply` turns them upright; default: `ignore`. */
  readonly exif?: 'apply' | 'ignore';
  /** The folder that the codecs' .wasm files lie in, if it is not this file's. */
  readonly assets?: string | URL;
}

export interface DecodedImage extends WebImage {
  /** Whether it was turned upright. */
  readonly isTurned: boolean;
}

/**
 * Decodes JPEG, PNG, WebP, BMP, Netpbm and .npy, each by a codec that is loaded when its first image comes. The pixels
 * are those of `decodeImage` of `ivit`, so the digests are too; a canvas promises nothing of the kind.
 *
 * @throws UnknownFormatError of other formats and of CMYK; InputError where the file is damaged, or the codec not there
 */
export async function decodeImage(
  source: Blob | ArrayBuffer | Uint8Array,
  { exif = 'ignore', assets }: DecodeOptions = {},
): Promise<DecodedImage> {
  const bytes = source instanceof Uint8Array ? source : new Uint8Array(await bufferOf(source));
  if (bytes.length === 0) throw new InputError('Cannot decode the image: it is empty', { code: 'BAD_IMAGE' });
  const start = bytes.subarray(0, TELLING_BYTES);
  const unsupported = unsupportedImage(start);
  if (unsupported !== null) throw new UnknownFormatError(`Cannot decode the image: ${unsupported}`);
  const own = ownDecoder(start);
  const codec = CODECS.find(({ is }) => is(String.fromCharCode(...start.subarray(0, 16))));
  if (own === undefined && codec === undefined)
    throw new UnknownFormatError('Cannot decode the image: not a JPEG, PNG, WebP, BMP, PPM or .npy file');
  const decode = codec === undefined ? null : await loadedDecoder(codec, assets);
  try {
    if (decode === null) return { channels: 3, ...own!(bytes), isTurned: false };
    const image = await decode(bytes);
    const orientation = exif === 'apply' ? orientationOf(bytes) : 1;
    return { ...turned(image, orientation), channels: 4, isTurned: orientation !== 1 };
  } catch (error) {
    loaded.delete(codec!); // a codec that has failed is not trusted with the next image
    const cause = error instanceof Error ? error.message : 'it is damaged';
    if (NO_RGB.test(cause)) throw new UnknownFormatError('Cannot decode the image: it is CMYK, convert it to RGB');
    throw new InputError(`Cannot decode the image: ${cause}`, { cause: error, code: 'BAD_IMAGE' });
  }
}

/** What libjpeg says of CMYK. */
const NO_RGB = /unsupported color conversion/i;

const bufferOf = async (source: Blob | ArrayBuffer): Promise<ArrayBuffer> =>
  source instanceof Blob ? source.arrayBuffer() : source;

interface Codec {
  readonly is: (start: string) => boolean;
  readonly wasm: string;
  /** Spelled out, as bundlers look for it. */
  readonly url: () => URL;
  readonly load: () => Promise<{ decoderOf(module: WebAssembly.Module): Promise<Decoder> }>;
}

const CODECS: readonly Codec[] = [
  {
    is: (start) => start.startsWith('\xff\xd8\xff'),
    wasm: 'mozjpeg_dec.wasm',
    url: () => new URL('./mozjpeg_dec.wasm', import.meta.url),
    load: () => import('./codec-jpeg.js'),
  },
  {
    is: (start) => start.startsWith('\x89PNG\r\n\x1a\n'),
    wasm: 'squoosh_png_bg.wasm',
    url: () => new URL('./squoosh_png_bg.wasm', import.meta.url),
    load: () => import('./codec-png.js'),
  },
  {
    is: (start) => start.startsWith('RIFF') && start.startsWith('WEBP', 8),
    wasm: 'webp_dec.wasm',
    url: () => new URL('./webp_dec.wasm', import.meta.url),
    load: () => import('./codec-webp.js'),
  },
];

const loaded = new Map<Codec, Promise<Decoder>>();

function loadedDecoder(codec: Codec, assets?: string | URL): Promise<Decoder> {
  const known = loaded.get(codec);
  if (known !== undefined) return known;
  const loading = load(codec, assets);
  loaded.set(codec, loading);
  loading.catch(() => loaded.delete(codec)); // tried again with the next image
  return loading;
}

async function load({ load: loadCode, url, wasm }: Codec, assets?: string | URL): Promise<Decoder> {
  const address = assets === undefined ? url() : new URL(wasm, new URL(assets, baseUrl()));
  const [code, bytes] = await Promise.all([loadCode(), fetchBytes(address.href)]);
  return code.decoderOf(await WebAssembly.compile(bytes));
}
