import type { PixelImage } from '../image.js';
import { decodeBmp, isBmp } from './bmp.js';
import { decodeNpyImage, isNpy } from './npy-image.js';
import { decodePnm, isPnm } from './pnm.js';

/** @throws InputError, without the image's name, for what is damaged or has more pixels */
export type OwnDecoder = (bytes: Uint8Array, mostPixels?: number) => PixelImage;

const DECODERS: readonly { is: (start: Uint8Array) => boolean; decode: OwnDecoder }[] = [
  { is: isBmp, decode: decodeBmp },
  { is: isPnm, decode: decodePnm },
  { is: isNpy, decode: decodeNpyImage },
];

/** What decodes an image that no library is needed for; undefined for all others. */
export function ownDecoder(start: Uint8Array): OwnDecoder | undefined {
  return DECODERS.find(({ is }) => is(start))?.decode;
}
