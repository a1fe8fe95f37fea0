/** Datasets whose images are no files of their own, or whose classes are in files of the distributor's form. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { Header } from 'tar/header';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../../../src/errors.js';
import { openDataset } from '../../../src/images/datasets/index.js';
import { readImages } from '../../../src/images/datasets/read.js';
import type { DatasetOptions, StoredImage } from '../../../src/images/datasets/index.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(os.tmpdir(), 'ivit-data-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function put(name: string, content: Uint8Array | string): string {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

async function read(name: string, options: DatasetOptions = {}, indices?: readonly number[]) {
  const dataset = await openDataset(path.join(folder, name), options);
  const images: StoredImage[] = [];
  for await (const image of readImages(dataset, indices ?? [...dataset.items.keys()])) images.push(image);
  const items = dataset.items.map(({ path: file, label }) => [path.relative(folder, file), label] as const);
  return { ...dataset, items, images };
}

const texts = (images: readonly StoredImage[]): string[] =>
  images.map((image) => (image instanceof Uint8Array ? Buffer.from(image).toString() : String(image)));

async function refusal(name: string, options?: DatasetOptions): Promise<string> {
  const error: unknown = await read(name, options).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(InputError);
  return (error as Error).message;
}

interface Entry {
  readonly name: string;
  readonly content?: string;
  /** What the header says, where that is not the content's. */
  readonly size?: number;
  readonly type?: 'ExtendedHeader' | 'NextFileHasLongPath' | 'Directory' | 'SymbolicLink' | 'Link' | 'SparseFile';
}

function tar(entries: readonly Entry[], { end = true } = {}): Buffer {
  const blocks = entries.flatMap(
    ({ name, content = '', size = Buffer.byteLength(content), type = 'File' as const }) => {
      const header = new Header({ path: name, size, type, mode: 0o644, mtime: new Date(0) });
      const block = Buffer.alloc(512);
      header.encode(block);
      const body = Buffer.alloc(Math.ceil(Buffer.byteLength(content) / 512) * 512);
      body.write(content);
      return [block, body];
    },
  );
  return Buffer.concat([...blocks, ...(end ? [Buffer.alloc(1024)] : [])]);
}

const SAMPLES: readonly Entry[] = [
  { name: './', type: 'Directory' },
  { name: 'a/0.jpg', content: 'zero' },
  { name: 'a/0.cls', content: '2\n' },
  { name: 'a/0.json', content: '{}' },
  { name: 'a/1.cls', content: '0' },
  { name: 'a/1.seg.png', content: 'x'.repeat(1500) },
  { name: 'b/2.cls', content: '1' },
  { name: 'b/2.WEBP', content: 'two' },
];

describe('WebDataset', () => {
  it.each<[string, (bytes: Buffer) => Uint8Array]>([
    ['one.tar', (bytes) => bytes],
    ['one.tar.gz', (bytes) => gzipSync(bytes)],
    ['one.tgz', (bytes) => gzipSync(bytes)],
  ])('%s: images and classes of one key', async (name, pack) => {
    put(name, pack(tar(SAMPLES)));
    const { kind, items, images, notices } = await read(name, { classCount: 3 });
    expect(kind).toBe('WebDataset archives');
    expect(items).toEqual([
      [`${name}/a/0.jpg`, 2],
      [`${name}/a/1.seg.png`, 0],
      [`${name}/b/2.WEBP`, 1],
    ]);
    expect(texts(images)).toEqual(['zero', 'x'.repeat(1500), 'two']);
    expect(notices).toEqual([]);
    expect(texts((await read(name, {}, [0, 2])).images)).toEqual(['zero', 'two']);
  });

  it('of several archives: a folder, a brace pattern, a glob; keys may return in another archive', async () => {
    for (const i of [8, 9, 10])
      put(
        `set/part-${String(i).padStart(3, '0')}.tar`,
        tar([
          { name: '0.png', content: `${i}` },
          { name: '0.cls', content: '0' },
        ]),
      );
    for (const source of ['set', 'set/part-{008..010}.tar', 'set/part-*.tar', 'set/part-{008,009,010}.tar'])
      expect(texts((await read(source)).images)).toEqual(['8', '9', '10']);
    expect(texts((await read('set/part-{009..010}.tar')).images)).toEqual(['9', '10']);
    expect(await refusal('set/part-{009..011}.tar')).toMatch(/No such file: .*part-011\.tar, which .* stands for/);
    expect(await refusal('set/none-*.tar')).toMatch(/No file matches/);
    expect(await refusal('set/part-{0..999999999}.tar')).toMatch(/more than 100000 files/);
  });

  it('takes long names, as POSIX and as GNU tar write them', async () => {
    const long = `${'deep/'.repeat(40)}0`;
    const record = (text: string): string => {
      const length = text.length + 1 + String(text.length + 4).length;
      return `${length} ${text}`;
    };
    put(
      'pax.tar',
      tar([
        { name: 'x', type: 'ExtendedHeader', content: record(`path=${long}.png\n`) },
        { name: 'short.png', content: 'pax' },
      ]),
    );
    put(
      'gnu.tar',
      tar([
        { name: 'x', type: 'NextFileHasLongPath', content: `${long}.png\0` },
        { name: 'short.png', content: 'gnu' },
      ]),
    );
    for (const name of ['pax', 'gnu']) {
      const { items, images } = await read(`${name}.tar`, { classes: 'ignored' });
      expect(items).toEqual([[`${name}.tar/${long}.png`, null]]);
      expect(texts(images)).toEqual([name]);
    }
  });

  it('goes on with archives that were appended', async () => {
    put('all.tar', Buffer.concat([tar(SAMPLES.slice(0, 4)), tar(SAMPLES.slice(4))]));
    const { items, images } = await read('all.tar');
    expect(items.map(([, label]) => label)).toEqual([2, 0, 1]);
    expect(texts(images)).toEqual(['zero', 'x'.repeat(1500), 'two']);
    put('more.tar', Buffer.concat([tar(SAMPLES), Buffer.alloc(600, 'text')]));
    expect(await refusal('more.tar')).toMatch(/there is no header at byte \d+$/);
  });

  it('tells names apart that are not UTF-8', async () => {
    const bytes = tar(['cafX.png', 'cafX.cls', 'cafY.png', 'cafY.cls'].map((name) => ({ name, content: '1' })));
    for (let at = 0; at + 512 <= bytes.length; at += 1024) {
      if (bytes[at] === 0) break;
      bytes[at + 3] += 0x80;
      const sum = bytes.subarray(at, at + 512).reduce((all, byte, i) => all + (i >= 148 && i < 156 ? 32 : byte), 0);
      bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148);
    }
    put('old.tar', bytes);
    expect((await read('old.tar')).items).toEqual([
      ['old.tar/caf\u00d8.png', 1],
      ['old.tar/caf\u00d9.png', 1],
    ]);
  });

  it('counts links, which hold nothing, and classes that are empty as missing', async () => {
    put(
      'links.tar',
      tar([
        { name: '0.png', content: 'a' },
        { name: '0.cls', content: '\n' },
        { name: '1.png', content: 'b' },
        { name: '1.cls', content: '1' },
        { name: '2.png', type: 'Link' },
        { name: '2.cls', type: 'SymbolicLink' },
        { name: 'readme.txt', type: 'Link' },
      ]),
    );
    const { items, notices } = await read('links.tar');
    expect(items.map(([, label]) => label)).toEqual([null, 1]);
    expect(notices).toEqual([expect.stringMatching(/^WARNING: 2 files are links and hold nothing, as .*2\.png: make/)]);
  });

  it('never takes names for paths', async () => {
    put(
      'evil.tar',
      tar([
        { name: '../../etc/passwd.png', content: 'in the archive' },
        { name: 'link.png', type: 'SymbolicLink' },
      ]),
    );
    const { images, items } = await read('evil.tar', { classes: 'ignored' });
    expect(items).toHaveLength(1);
    expect(texts(images)).toEqual(['in the archive']);
  });

  it('counts what has no image, and keeps what has no class as such', async () => {
    put(
      'odd.tar',
      tar([
        { name: '0.cls', content: '1' },
        { name: '1.jpg' },
        { name: '2.txt' },
        { name: '3.jpg' },
        { name: '3.cls', content: '0' },
      ]),
    );
    const { items, notices } = await read('odd.tar');
    expect(items).toEqual([
      ['odd.tar/1.jpg', null],
      ['odd.tar/3.jpg', 0],
    ]);
    expect(notices).toEqual([expect.stringMatching(/^2 samples have no image, as .*odd\.tar\/0$/)]);
  });

  it('gives the reason for an image that is none of its own', async () => {
    put(
      'two.tar',
      tar([
        { name: '0.jpg', content: 'a' },
        { name: '0.png', content: 'b' },
        { name: '0.cls', content: '1' },
      ]),
    );
    const { images, notices } = await read('two.tar');
    expect(images).toEqual([new InputError(`${path.join(folder, 'two.tar')}/0.jpg is one of 2 images of its key`)]);
    expect(notices).toEqual([expect.stringMatching(/^WARNING: 1 key has several images, as .*two\.tar\/0, and none/)]);
  });

  it('takes an array beside an image for something else', async () => {
    put(
      'arrays.tar',
      tar([
        { name: '0.npy', content: 'embedding' },
        { name: '0.jpg', content: 'image' },
        { name: '0.cls', content: '1' },
        { name: '1.npy', content: 'alone' },
        { name: '1.cls', content: '1' },
      ]),
    );
    expect(texts((await read('arrays.tar')).images)).toEqual(['image', 'alone']);
  });

  it('warns of an archive without the mark of its end', async () => {
    put('open.tar', tar(SAMPLES, { end: false }));
    expect((await read('open.tar')).notices).toEqual([
      expect.stringMatching(/^WARNING: .*open\.tar has no mark of its end/),
    ]);
  });

  it.each<[string, string, Uint8Array, DatasetOptions, RegExp]>([
    ['cut in an image', 'a.tar', tar(SAMPLES).subarray(0, 3000), {}, /a\.tar is cut off: it ends in /],
    [
      'cut in a header',
      'a.tar',
      tar(SAMPLES).subarray(0, 700),
      {},
      /a\.tar is cut off: it ends in a header, at byte 512/,
    ],
    ['packed and cut', 'a.tar.gz', gzipSync(tar(SAMPLES)).subarray(0, 90), {}, /cannot be unpacked: it ends too early/],
    ['cut, then packed', 'a.tgz', gzipSync(tar(SAMPLES).subarray(0, 4000)), {}, /a\.tgz is cut off: it ends in /],
    ['no archive', 'a.tar', Buffer.alloc(2048, 'text'), {}, /a\.tar is no tar archive, or a damaged one: .* byte 0/],
    ['a size beyond the file', 'a.tar', tar([{ name: '0.jpg', size: 2 ** 40 }]), {}, /is cut off: it ends in 0\.jpg/],
    [
      'an endless name',
      'a.tar',
      tar([{ name: 'x', type: 'ExtendedHeader', content: 'y'.repeat(2 ** 20 + 1) }]),
      {},
      /damaged/,
    ],
    [
      'a key twice',
      'a.tar',
      tar([{ name: '0.jpg' }, { name: '1.jpg' }, { name: '0.cls' }]),
      {},
      /the key 0 comes twice/,
    ],
    ['a class twice', 'a.tar', tar([{ name: '0.cls' }, { name: '0.cls' }]), {}, /0\.cls is there twice/],
    ['a class out of range', 'a.tar', tar(SAMPLES), { classCount: 2 }, /a\/0\.cls: class index 2, but the model has 2/],
    [
      'an unknown class',
      'a.tar',
      tar([{ name: '0.jpg' }, { name: '0.cls', content: 'yak' }]),
      { labels: ['ant'] },
      /0\.cls: class yak is neither/,
    ],
    ['no classes at all', 'a.tar', tar([{ name: '0.jpg' }]), {}, /says no classes: the class of none of its 1 images/],
    [
      'no images at all',
      'a.tar',
      tar([{ name: '0.txt' }]),
      {},
      /has no images\. 1 sample has no image, as .*a\.tar\/0$/,
    ],
    [
      'a long text for a class',
      'a.tar',
      tar([{ name: '0.cls', content: '1'.repeat(2000) }]),
      {},
      /too many for a class/,
    ],
    ['a sparse file', 'a.tar', tar([{ name: '0.jpg', type: 'SparseFile' }]), {}, /holds sparse files/],
    [
      'a sparse file of the newer form',
      'a.tar',
      tar([{ name: 'x', type: 'ExtendedHeader', content: '22 GNU.sparse.major=1\n' }]),
      {},
      /holds sparse files, .* without --sparse/,
    ],
  ])('with %s is refused', async (_, name, content, options, message) => {
    put(name, content);
    expect(await refusal(name, options)).toMatch(message);
  });

  it('that grows beyond measure when it is unpacked is refused', async () => {
    const zeros = tar([{ name: '0.jpg', size: 2 ** 31 }], { end: false });
    // A member of 1 MiB of zeros, over and over: gzip files may be joined.
    const member = gzipSync(Buffer.alloc(2 ** 22));
    put('bomb.tar.gz', Buffer.concat([gzipSync(zeros), ...Array.from({ length: 300 }, () => member)]));
    expect(await refusal('bomb.tar.gz')).toMatch(/grows to more than 100 times its size/);
  }, 30_000);
});

const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 1, 2, 3);
const features = (names: readonly string[]) => [
  { key: 'huggingface', value: JSON.stringify({ info: { features: { label: { names, _type: 'ClassLabel' } } } }) },
];

function parquet(columns: Parameters<typeof parquetWriteBuffer>[0]['columnData'], more: object = {}): Uint8Array {
  return new Uint8Array(parquetWriteBuffer({ columnData: columns, ...more }));
}

describe('Parquet', () => {
  const images = [PNG, Uint8Array.of(9, 8), PNG.slice(0, 5)];
  const plain = { name: 'image', data: images, type: 'BYTE_ARRAY' } as const;
  const label = { name: 'label', data: [2, 0, 1], type: 'INT32' as const };

  it('with bytes and classes, row group by row group', async () => {
    put('a.parquet', parquet([label, plain], { rowGroupSize: 2 }));
    const { kind, items, images: found } = await read('a.parquet', { classCount: 3 });
    expect(kind).toBe('Parquet files');
    expect(items.map(([, one]) => one)).toEqual([2, 0, 1]);
    expect(items[1]![0]).toBe('a.parquet[1]');
    expect(found.map((one) => [...(one as Uint8Array)])).toEqual(images.map((one) => [...one]));
    expect((await read('a.parquet', {}, [2])).images.map((one) => [...(one as Uint8Array)])).toEqual([[...images[2]!]]);
  });

  it("matches classes to the model's labels by name", async () => {
    put('a.parquet', parquet([plain, label], { kvMetadata: features(['bee', 'cat', 'ant']) }));
    const { items, notices } = await read('a.parquet', { labels: ['ant', 'bee', 'cat'] });
    expect(items.map(([, one]) => one)).toEqual([0, 1, 2]);
    expect(notices).toEqual([expect.stringMatching(/matched to the model's labels by their names/)]);
    const other = await read('a.parquet', { labels: ['ant', 'bee', 'yak'] });
    expect(other.items.map(([, one]) => one)).toEqual([2, 0, 1]);
    expect(other.notices).toEqual([expect.stringMatching(/^WARNING: 1 of the 3 classes .* \(cat\): .* by number/)]);
  });

  it('with two columns that are called as images are: the first is taken, with a warning', async () => {
    put('a.parquet', parquet([plain, { ...plain, name: 'img' }, label]));
    const { items, notices } = await read('a.parquet', { classCount: 3 });
    expect(items).toHaveLength(3);
    expect(notices).toEqual([expect.stringMatching(/^WARNING: columns image, img are .*: image is taken/)]);
  });

  it('of several files of one part; several parts are refused', async () => {
    for (const i of [0, 1]) put(`data/test-0000${i}-of-00002.parquet`, parquet([plain, label]));
    expect((await read('data')).items).toHaveLength(6);
    put('data/train-00000-of-00001.parquet', parquet([plain, label]));
    expect(await refusal('data')).toMatch(
      /several parts of a dataset \(test, train\): give one, as in '.*test-\*\.parquet'/,
    );
    expect((await read('data/test-*.parquet')).items).toHaveLength(6);
  });

  it('with lists of classes, with marks of them, and with some missing', async () => {
    const labelled = (data: readonly unknown[]) =>
      put('a.parquet', parquet([plain, { name: 'labels', data: [...data], type: 'JSON' } as unknown as typeof plain]));
    const found = async () => (await read('a.parquet', { classCount: 3 })).items.map(([, one]) => one);
    labelled([[2, 1], [], [-1]]);
    expect(await found()).toEqual([[2, 1], [], null]);
    labelled([
      [1, 0, 1],
      [0, 0, 0],
      [false, true, false],
    ]);
    expect(await found()).toEqual([[0, 2], [], [1]]);
    expect((await read('a.parquet', { classCount: 3 })).notices).toEqual([
      expect.stringMatching(/^Column labels of .* has a mark for each class/),
    ]);
    labelled([[2, 1], [null, 1], [0]]);
    expect(await refusal('a.parquet', { classCount: 3 })).toMatch(
      /a\.parquet\[1\]: its class is neither number nor text/,
    );
    put('a.parquet', parquet([plain, { name: 'label', data: [2, NaN, 0], type: 'DOUBLE' }]));
    expect(await found()).toEqual([2, null, 0]);
  });

  it('without classes calibrates', async () => {
    put('a.parquet', parquet([plain]));
    expect((await read('a.parquet', { classes: 'ignored' })).images).toHaveLength(3);
    expect((await read('a.parquet', { classes: 'optional' })).items.map(([, one]) => one)).toEqual([null, null, null]);
    expect(await refusal('a.parquet')).toMatch(/no column of classes/);
  });

  it.each<[string, () => Uint8Array, RegExp]>([
    [
      'without a column of images',
      () => parquet([label, { name: 'text', data: ['a', 'b', 'c'], type: 'STRING' }]),
      /no column of images: its columns are label, text/,
    ],
    ['cut off', () => parquet([plain, label]).subarray(0, 100), /is no Parquet file, or a damaged one/],
    [
      'with two columns that may be the images',
      () => parquet([label, { ...plain, name: 'left' }, { ...plain, name: 'right' }]),
      /several columns that may be the images: left, right/,
    ],
    ['that is none', () => bytesOf('[{"image": "a.jpg"}]'), /is no Parquet file, or a damaged one/],
    [
      'with a class out of range',
      () => parquet([plain, { ...label, data: [0, 9, 1] }]),
      /\[1\]: class index 9, but the model has 3/,
    ],
  ])('%s is refused', async (_, content, message) => {
    put('a.parquet', content());
    expect(await refusal('a.parquet', { classCount: 3 })).toMatch(message);
  });
});

function idx(magic: number, dimensions: readonly number[], data: readonly number[]): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.writeUInt32BE(magic);
  dimensions.forEach((size, i) => header.writeUInt32BE(size, 4 + 4 * i));
  return Buffer.concat([header, Uint8Array.from(data)]);
}

describe('IDX', () => {
  const pixels = Array.from({ length: 3 * 2 * 4 }, (_, i) => 10 * i);
  const [images, labels] = [idx(0x803, [3, 2, 4], pixels), idx(0x801, [3], [7, 0, 9])];

  it.each<[string, (bytes: Buffer) => Uint8Array]>([
    ['', (bytes) => bytes],
    ['.gz', (bytes) => gzipSync(bytes)],
  ])('t10k-images-idx3-ubyte%s, named or in its folder', async (extension, pack) => {
    put(`t10k-images-idx3-ubyte${extension}`, pack(images));
    put(`t10k-labels-idx1-ubyte${extension}`, pack(labels));
    for (const source of ['.', `t10k-images-idx3-ubyte${extension}`]) {
      const { items, images: found } = await read(source, { classCount: 10 });
      expect(items.map(([, label]) => label)).toEqual([7, 0, 9]);
      const image = (i: number) => ({
        width: 4,
        height: 2,
        channels: 1,
        data: Uint8Array.from(pixels.slice(8 * i, 8 * i + 8)),
      });
      expect(found).toEqual([image(0), image(1), image(2)]);
      expect((await read(source, {}, [1])).images).toEqual([image(1)]);
    }
  });

  it.each<[string, Record<string, Uint8Array>, RegExp]>([
    ['no classes', { 'x-images-idx3-ubyte': images }, /its file of classes, .*x-labels-idx1-ubyte, is not there/],
    [
      'classes of other images',
      { 'x-images-idx3-ubyte': images, 'x-labels-idx1-ubyte': idx(0x801, [2], [1, 2]) },
      /classes of 2 images, .* has 3 images/,
    ],
    [
      'too few classes',
      { 'x-images-idx3-ubyte': images, 'x-labels-idx1-ubyte': labels.subarray(0, 9) },
      /cut off: it ends after 1 classes/,
    ],
    [
      'too few pixels',
      { 'x-images-idx3-ubyte': images.subarray(0, 30), 'x-labels-idx1-ubyte': labels },
      /cut off: 30 bytes are too few for 3 images/,
    ],
    [
      'more classes than it says',
      { 'x-images-idx3-ubyte': images, 'x-labels-idx1-ubyte': Buffer.concat([labels, labels]) },
      /damaged: its header says 3 classes, and more follow/,
    ],
    [
      'more pixels than it says, packed',
      {
        'x-images-idx3-ubyte.gz': gzipSync(Buffer.concat([images, images])),
        'x-labels-idx1-ubyte.gz': gzipSync(labels),
      },
      /damaged: its header says 3 images, and more follow/,
    ],
    [
      'too few pixels, packed',
      { 'x-images-idx3-ubyte.gz': gzipSync(images.subarray(0, 30)), 'x-labels-idx1-ubyte.gz': gzipSync(labels) },
      /cut off: it ends in image 1/,
    ],
    [
      'a class out of range',
      { 'x-images-idx3-ubyte': images, 'x-labels-idx1-ubyte': idx(0x801, [3], [1, 2, 10]) },
      /labels-idx1-ubyte\[2\]: class index 10, but the model has 10/,
    ],
    ['another file', { 'x-images-idx3-ubyte': labels }, /is no IDX file of images/],
    ['a size beyond measure', { 'x-images-idx3-ubyte': idx(0x803, [2 ** 31, 2 ** 31, 5], []) }, /it is damaged/],
    [
      'training and test files',
      { 'train-images-idx3-ubyte': images, 't10k-images-idx3-ubyte': images },
      /several files of images/,
    ],
  ])('with %s is refused', async (_, files, message) => {
    for (const [name, content] of Object.entries(files)) put(name, content);
    expect(await refusal('.', { classCount: 10 })).toMatch(message);
  });
});

describe('CIFAR', () => {
  const record = (header: readonly number[], first: number): Uint8Array =>
    Uint8Array.from({ length: header.length + 3072 }, (_, i) => header[i] ?? (first + (i - header.length)) % 256);
  /** Its pixel at the left of the top has the first value of each plane. */
  const corner = (image: StoredImage): number[] => [...(image as { data: Uint8Array }).data.subarray(0, 3)];

  it('-10: test_batch.bin, its classes by name; the other batches are calibrated on', async () => {
    put('set/test_batch.bin', Buffer.concat([record([3], 0), record([1], 5)]));
    put('set/data_batch_1.bin', record([0], 9));
    put('set/batches.meta.txt', 'airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n');
    const { items, images } = await read('set');
    expect(items.map(([, label]) => label)).toEqual([3, 1]);
    // Planes follow one another after 1024 bytes, which is 0 modulo 256.
    expect(images.map(corner)).toEqual([
      [0, 0, 0],
      [5, 5, 5],
    ]);
    const labels = ['truck', 'ship', 'horse', 'frog', 'dog', 'deer', 'cat', 'bird', 'automobile', 'airplane'];
    expect((await read('set', { labels })).items.map(([, label]) => label)).toEqual([6, 8]);
    expect((await read('set', { classes: 'ignored' })).items).toEqual([['set/data_batch_1.bin[0]', null]]);
    expect((await read('set/{data_batch_1,test_batch}.bin')).images.map(corner)).toEqual([
      [9, 9, 9],
      [0, 0, 0],
      [5, 5, 5],
    ]);
  });

  it('-100: the class, not the superclass', async () => {
    put('test.bin', Buffer.concat([record([4, 99], 1), record([19, 0], 2)]));
    const { items, images } = await read('.');
    expect(items.map(([, label]) => label)).toEqual([99, 0]);
    expect(images.map(corner)).toEqual([
      [1, 1, 1],
      [2, 2, 2],
    ]);
  });

  it.each<[string, string, Uint8Array, RegExp]>([
    ['cut off', 'test_batch.bin', record([3], 0).subarray(0, 3000), /its 3000 bytes are no multiple of 3073/],
    ['with a class out of range', 'test_batch.bin', record([10], 0), /\[0\]: class 10, but CIFAR-10 has 10 classes/],
    ['empty', 'test.bin', Buffer.alloc(0), /no multiple of 3074/],
  ])('%s is refused', async (_, name, content, message) => {
    put(name, content);
    expect(await refusal(name)).toMatch(message);
  });
});

describe("ImageNet's validation images", () => {
  const image = (i: number): string => `ILSVRC2012_val_0000000${i}.JPEG`;
  const truth = 'ILSVRC2012_validation_ground_truth.txt';
  beforeEach(() => [3, 1, 2].forEach((i) => put(image(i), 'x')));

  it("in the development kit's order, which meta.mat tells", async () => {
    put(truth, '3\n1\n2\n');
    expect(await refusal('.', { classCount: 3 })).toMatch(
      /development kit's own order, .* put the kit's meta\.mat beside it/,
    );
    // Written by SciPy: make-meta-mat.py. The ids of 1, 2, 3 are the last, the first and the second of the sorted ones.
    copyFileSync(path.join(import.meta.dirname, 'meta.mat'), path.join(folder, 'meta.mat'));
    for (const source of ['.', truth])
      expect((await read(source, { classCount: 3 })).items).toEqual([
        [image(1), 1],
        [image(2), 2],
        [image(3), 0],
      ]);
    const labels = ['n02000003 kit fox', 'n01500002 goose', 'n01000001 tench'];
    expect((await read('.', { labels })).items.map(([, label]) => label)).toEqual([1, 0, 2]);
    put(truth, '3\n1\n4\n');
    expect(await refusal('.', { classCount: 3 })).toMatch(/line 3: 4 is no class of the model/);
    put('meta.mat', 'x'.repeat(300));
    expect(await refusal('.', { classCount: 3 })).toMatch(/meta\.mat is no meta\.mat of ImageNet's development kit/);
  });

  it('by WordNet ids', async () => {
    put('imagenet_2012_validation_synset_labels.txt', 'n02000003\nn01000001\nn02000003\n');
    const labels = ['n01000001 tench', 'n02000003 kit fox'];
    expect((await read('.', { labels })).items.map(([, label]) => label)).toEqual([1, 0, 1]);
    expect(await refusal('.', { labels: ['tench', 'kit fox'] })).toMatch(/line 1: no label of the model is n02000003/);
  });

  it('by all right classes (ReaL)', async () => {
    put('real.json', '[[2, 0], [], [1]]');
    const { items, notices } = await read('.', { classCount: 3 });
    expect(items.map(([, label]) => label)).toEqual([[2, 0], [], [1]]);
    expect(notices).toEqual([expect.stringMatching(/^1 images have no right class/)]);
    put('real.json', '[[2], [], [3]]');
    expect(await refusal('.', { classCount: 3 })).toMatch(/real\.json, image 3: class index 3/);
    put('real.json', '[[2]]');
    expect(await refusal('.', { classCount: 3 })).toMatch(/has the classes of 1 images, but there is .*00000002/);
    put('real.json', '{}');
    expect(await refusal('.', { classCount: 3 })).toMatch(/holds no lists of classes/);
  });
});

describe('files of users', () => {
  it('labels.txt with BOM, CRLF, tabs and quotes', async () => {
    put('a b.png', 'x');
    put('c.png', 'x');
    put('labels.txt', '\ufeff"a b.png"\t"white shark"\r\nc.png\ttench\r\n"c.png", 0\r\n');
    const { items } = await read('.', { labels: ['tench', 'white shark'] });
    expect(items).toEqual([
      ['a b.png', 1],
      ['c.png', 0],
      ['c.png', 0],
    ]);
  });

  it('tables with several classes of an image', async () => {
    for (const name of ['a.png', 'b.png', 'c.png']) put(name, 'x');
    put('labels.csv', 'image,labels\na.png,0;2\nb.png,"[1, 2]"\nc.png,1\n');
    expect((await read('.', { classCount: 3 })).items.map(([, label]) => label)).toEqual([[0, 2], [1, 2], 1]);
    put('labels.csv', 'image,labels\na.png,ant|cat\nb.png,"[\'bee\']"\nc.png,[]\n');
    const labels = ['ant', 'bee', 'cat'];
    expect((await read('.', { labels })).items.map(([, label]) => label)).toEqual([[0, 2], [1], []]);
    put('labels.csv', 'image,ant,bee,cat\na.png,0,0,0\nb.png,1,1,0\nc.png,0,0,1\n');
    expect((await read('.', { labels })).items.map(([, label]) => label)).toEqual([[], [0, 1], 2]);
  });
});
