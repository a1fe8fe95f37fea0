/** Images brought to the channels that a network reads. */
import { InputError } from '../errors.js';
import type { PixelImage } from './image.js';

/** ITU-R 601's weights of red, green and blue in 16 fraction bits, as Pillow's `convert('L')` has them. */
const LUMA = [19595, 38470, 7471] as const;
const HALF = 1 << 15;

/**
 * The image with so many channels: RGB becomes grey as Pillow's `convert('L')` has it, grey becomes RGB by repetition.
 *
 * @throws InputError for all other pairs
 */
export function withChannels(image: PixelImage, channels: number): PixelImage {
  const { channels: own = 3 } = image;
  if (own === channels) return image;
  if (own === 3 && channels === 1) return { ...image, data: toGrey(image), channels };
  if (own === 1 && channels === 3) return { ...image, data: repeat(image, 3), channels };
  throw new InputError(
    `the image has ${own} channels and the model takes ${channels}: give it as a .npy file of uint8, ` +
      `[height, width, ${channels}]`,
    { code: 'BAD_IMAGE' },
  );
}

/** Whether a network of one channel sees less of an image than it holds: pixels that are not grey. */
export function losesColour({ data, channels = 3 }: PixelImage): boolean {
  if (channels !== 3) return false;
  for (let i = 0; i < data.length; i += 3) if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return true;
  return false;
}

/** One line for the user, where images of colour were given to a network of one channel; null where none were. */
export function greyNotice(coloured: number, images: number): string | null {
  if (coloured === 0) return null;
  return `The model takes grey images: ${coloured} of ${images} have colours, and were turned grey.`;
}

/** Made-up channels: those of an RGB image, over and over. */
export function cycledChannels(image: PixelImage, channels: number): PixelImage {
  if (channels === 1 || channels === 3) return withChannels(image, channels);
  const { data, width, height } = image;
  const cycled = Uint8Array.from({ length: channels * width * height }, (_, i) => {
    const pixel = Math.floor(i / channels);
    return data[3 * pixel + ((i % channels) % 3)]!;
  });
  return { data: cycled, width, height, channels };
}

function toGrey({ data }: PixelImage): Uint8Array {
  const grey = new Uint8Array(data.length / 3);
  for (let i = 0; i < grey.length; i++) {
    const [red, green, blue] = [data[3 * i]!, data[3 * i + 1]!, data[3 * i + 2]!];
    grey[i] = (red * LUMA[0] + green * LUMA[1] + blue * LUMA[2] + HALF) >> 16;
  }
  return grey;
}

function repeat({ data }: PixelImage, times: number): Uint8Array {
  return Uint8Array.from({ length: times * data.length }, (_, i) => data[Math.floor(i / times)]!);
}
