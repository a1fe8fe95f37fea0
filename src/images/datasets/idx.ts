/** MNIST's files, and those of its successors: grey images and classes as bytes (IDX), packed by gzip or not. */
import { InputError } from '../../errors.js';
import { openBytes } from './bytes.js';
import { numberReader } from './classes.js';
import { isFile } from './files.js';
import { containersIn } from './source.js';
import type { DatasetContent, DatasetKind, DatasetOptions, ReadImages, Source } from './source.js';

const NAME = /images?[-.]idx3[-.]ubyte(\.gz)?$/i;
/** Unsigned bytes of three dimensions, and of one. */
const [IMAGES, CLASSES] = [0x803, 0x801];
const [MAX_IMAGES, MAX_EDGE] = [2 ** 27, 2 ** 14];

export const idx: DatasetKind = {
  wanted: 'images-idx3-ubyte beside labels-idx1-ubyte (MNIST)',
  holdsImages: true,

  find(source: Source): Promise<readonly string[] | undefined> {
    const found = containersIn(source, NAME);
    if (found !== undefined && found.length > 1)
      throw new InputError(`${source.path} has several files of images, ${found.join(', ')}: give one of them`);
    return Promise.resolve(found);
  },

  async read([file]: readonly [string], options: DatasetOptions): Promise<DatasetContent> {
    const [count, height, width] = await dimensionsOf(file, IMAGES, 3);
    if (count > MAX_IMAGES || height > MAX_EDGE || width > MAX_EDGE || height * width === 0)
      throw new InputError(
        `${file} says that it holds ${count} images of ${height}×${width}: it is damaged, copy it again`,
      );
    const labels = options.classes === 'ignored' ? null : await labelsOf(file, count, options);
    const items = Array.from({ length: count }, (_, i) => ({ path: `${file}[${i}]`, label: labels?.[i] ?? null }));
    return { items, notices: [], read: reader(file, count, { width, height }) };
  },
};

/** Reads the header: a number that says what it is, then each dimension, all of four bytes, most significant first. */
async function dimensionsOf(file: string, magic: number, dimensions: number): Promise<number[]> {
  const bytes = await openBytes(file);
  try {
    const header = await bytes.read(4 + 4 * dimensions);
    const view = new DataView(header.buffer, header.byteOffset, header.length);
    if (header.length < 4 + 4 * dimensions || view.getUint32(0) !== magic)
      throw new InputError(`${file} is no IDX file of ${dimensions === 3 ? 'images' : 'classes'}`);
    return Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  } finally {
    await bytes.close();
  }
}

/** @throws InputError where the file of classes is not there, or is of other images */
async function labelsOf(file: string, count: number, options: DatasetOptions): Promise<number[] | null> {
  const named = file.replace(/images?([-.])idx3/i, 'labels$1idx1');
  const other = /\.gz$/i.test(named) ? named.slice(0, -3) : `${named}.gz`;
  const labelFile = (await isFile(named)) ? named : (await isFile(other)) ? other : undefined;
  if (labelFile === undefined) {
    if (options.classes === 'optional') return null;
    throw new InputError(`${file}: its file of classes, ${named}, is not there: put it beside the images`);
  }
  const [labelCount] = await dimensionsOf(labelFile, CLASSES, 1);
  if (labelCount !== count)
    throw new InputError(
      `${labelFile} has the classes of ${labelCount} images, ${file} has ${count} images: they are not of one dataset`,
    );
  const bytes = await openBytes(labelFile);
  try {
    await bytes.skip(8);
    const labels = await bytes.read(count);
    if (labels.length < count)
      throw new InputError(`${labelFile} is cut off: it ends after ${labels.length} classes. Copy it again`);
    if ((await bytes.skip(1)) > 0) throw longer(labelFile, `${count} classes`);
    const { read } = numberReader(undefined, options, labelFile);
    return Array.from(labels, (label, i) => read(label, `${labelFile}[${i}]`));
  } finally {
    await bytes.close();
  }
}

function reader(file: string, count: number, size: { readonly width: number; readonly height: number }): ReadImages {
  const pixels = size.width * size.height;
  return async function* (indices) {
    const bytes = await openBytes(file);
    try {
      if (bytes.size !== null && bytes.size < 16 + count * pixels)
        throw new InputError(`${file} is cut off: ${bytes.size} bytes are too few for ${count} images. Copy it again`);
      for (const index of indices) {
        await bytes.skip(16 + index * pixels - bytes.position);
        const data = await bytes.read(pixels);
        if (data.length < pixels) throw new InputError(`${file} is cut off: it ends in image ${index}. Copy it again`);
        if (index === count - 1 && (await bytes.skip(1)) > 0) throw longer(file, `${count} images`);
        yield { data, ...size, channels: 1 };
      }
    } finally {
      await bytes.close();
    }
  };
}

function longer(file: string, content: string): InputError {
  return new InputError(`${file} is damaged: its header says ${content}, and more follow. Copy it again`);
}
