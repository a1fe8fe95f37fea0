import type { PixelImage } from '../image.js';
import { decodeBmp, isBmp } from './bmp.js';
import { decodeNpyImage, isNpy } from './npy-image.js';
import { decodePnm, isPnm } from './pnm.js';

const DECODERS: readonly { is: (start: Uint8Array) => boolean; decode: (bytes: Uint8Array) => PixelImage }[] = [
  { is: isBmp, decode: decodeBmp },
  { is: isPnm, decode: decodePnm },
  { is: isNpy, decode: decodeNpyImage },
];

/** What decodes an image that no library is needed for; undefined for all others. */
export function ownDecoder(start: Uint8Array): ((bytes: Uint8Array) => PixelImage) | undefined {
  return DECODERS.find(({ is }) => is(start))?.decode;
}
