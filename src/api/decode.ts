import { decodeImage as decode } from '../images/decode.js';
import type { DecodeOptions } from '../images/decode.js';
import type { PixelImage } from '../images/image.js';
import { checkDecodeArguments } from './arguments.js';

/**
 * Decodes an image file, or its bytes, to 8-bit RGB: the pixels of Pillow's `Image.open(f).convert('RGB')`. A .npy file
 * of uint8 gives the channels that it has.
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
  checkDecodeArguments(input, name, options);
  return decode(input, name, options);
}
