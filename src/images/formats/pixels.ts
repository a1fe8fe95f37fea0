import { InputError } from '../../errors.js';

/** The most pixels an image may have; the number at which Pillow, too, refuses to decode. */
export const MAX_PIXELS = 178_956_970;

/** @throws InputError, without the image's name, for a size that no image has */
export function checkPixels(width: number, height: number, most = MAX_PIXELS): void {
  if (width < 1 || height < 1) throw new InputError(`it has ${width}×${height} pixels`);
  if (width * height > most) throw new InputError(`more than ${most} pixels`);
}
