/** Images as NumPy's .npy files: the way to give a network other channels than grey or RGB. */
import { InputError } from '../../errors.js';
import { MAX_CHANNELS } from '../image.js';
import type { PixelImage } from '../image.js';
import { checkPixels } from './pixels.js';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY
const BYTES = /^[|<>=]?u1$/;

export function isNpy(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/**
 * One image: uint8 of shape [height, width], [height, width, channels] or [channels, height, width].
 *
 * @throws InputError, without the image's name, for what is damaged or no such array
 */
export function decodeNpyImage(bytes: Uint8Array, mostPixels?: number): PixelImage {
  const { header, start } = readHeader(bytes);
  const type = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const shape = /'shape':\s*\(([\d\s,]*)\)/
    .exec(header)?.[1]
    ?.split(',')
    .filter((part) => part.trim() !== '')
    .map(Number);
  const isFortran = /'fortran_order':\s*True/.test(header);
  if (shape === undefined) throw new InputError('it is a damaged .npy file: its header has no shape');
  if (type === undefined || !BYTES.test(type))
    throw new InputError(
      `it holds ${type === undefined ? 'records' : `numbers of type ${type}`}, and pixels of 0 to 255 are expected: ` +
        "scale them as when the model was trained, then x.astype('uint8')",
    );
  if (isFortran) throw new InputError('it is in Fortran order: save np.ascontiguousarray(x)');
  const { height, width, channels, isPlanar } = layoutOf(shape);
  checkPixels(width, height, mostPixels);
  const length = height * width * channels;
  if (bytes.length - start !== length)
    throw new InputError(`it has ${bytes.length - start} bytes of pixels, not ${length}: it is truncated or damaged`);
  const data = new Uint8Array(bytes.subarray(start));
  return { data: isPlanar ? interleave(data, channels) : data, width, height, channels };
}

function readHeader(bytes: Uint8Array): { header: string; start: number } {
  const isLong = bytes[MAGIC.length]! > 1;
  const at = MAGIC.length + 2;
  const from = at + (isLong ? 4 : 2);
  if (bytes.length < from) throw new InputError('it is a truncated .npy file');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const start = from + (isLong ? view.getUint32(at, true) : view.getUint16(at, true));
  if (start > bytes.length) throw new InputError('it is a truncated .npy file');
  return { header: new TextDecoder('latin1').decode(bytes.subarray(from, start)), start };
}

interface Layout {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly isPlanar: boolean;
}

/** Channels are few: they come last, or first where the last axis is no such number. */
function layoutOf(shape: readonly number[]): Layout {
  const isFew = (size: number): boolean => size >= 1 && size <= MAX_CHANNELS;
  const [a = 0, b = 0, c = 0] = shape;
  if (shape.length === 2) return { height: a, width: b, channels: 1, isPlanar: false };
  if (shape.length === 3 && isFew(c)) return { height: a, width: b, channels: c, isPlanar: false };
  if (shape.length === 3 && isFew(a)) return { height: b, width: c, channels: a, isPlanar: true };
  throw new InputError(
    `its shape (${shape.join(', ')}) is no image: one image a file is expected, (height, width, channels) of at most ` +
      `${MAX_CHANNELS} channels`,
  );
}

/** [channels, pixels] → [pixels, channels]. */
function interleave(planes: Uint8Array, channels: number): Uint8Array {
  const area = planes.length / channels;
  return Uint8Array.from(
    { length: planes.length },
    (_, i) => planes[(i % channels) * area + Math.floor(i / channels)]!,
  );
}
