import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../../../src/errors.js';
import { listImages, openDataset } from '../../../src/images/datasets/index.js';
import type { DatasetOptions } from '../../../src/images/datasets/index.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(os.tmpdir(), 'ivit-data-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Writes files below the folder; their content does not matter unless given. */
function put(...files: (string | [string, string])[]): void {
  for (const file of files) {
    const [name, content] = typeof file === 'string' ? [file, 'x'] : file;
    const full = path.join(folder, name);
    mkdirSync(path.dirname(full), { recursive: true });
    writeFileSync(full, content);
  }
}

const below = (files: readonly string[]) => files.map((file) => path.relative(folder, file).replaceAll(path.sep, '/'));

async function open(options?: DatasetOptions, name = '.') {
  const dataset = await openDataset(path.join(folder, name), options);
  return { ...dataset, items: dataset.items.map(({ path: file, label }) => [below([file])[0], label]) };
}

async function refusal(options?: DatasetOptions, name?: string): Promise<string> {
  const error: unknown = await open(options, name).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(InputError);
  return (error as Error).message;
}

const IMAGENET_LIKE = [
  'n01440764 tench, Tinca tinca',
  'n01443537 goldfish, Carassius auratus',
  'n01484850 great white shark, white shark',
];

describe('listImages', () => {
  it('finds all images below a folder, in path order, hidden ones left out', async () => {
    put('b.JPEG', 'a.png', 'Z/deep/er/one.webp', 'Z/two.txt', '.hidden/x.png', '.y.png', 'a10.jpg', 'a2.jpg');
    expect(below(await listImages(folder))).toEqual(['Z/deep/er/one.webp', 'a.png', 'a10.jpg', 'a2.jpg', 'b.JPEG']);
  });

  it('reads a list, relative to its own folder, with or without classes', async () => {
    put('sub/my cat.jpg', 'sub/b.png', 'sub/c 3', [
      'sub/list.txt',
      'my cat.jpg\r\n\nb.png 12\nmy cat.jpg,5\nc 3\nb.png white shark\n',
    ]);
    const expected = ['sub/my cat.jpg', 'sub/b.png', 'sub/my cat.jpg', 'sub/c 3', 'sub/b.png'];
    expect(below(await listImages(path.join(folder, 'sub/list.txt')))).toEqual(expected);
  });

  it('takes absolute paths in a list', async () => {
    put('a.png', ['sub/list.txt', `${path.join(folder, 'a.png')}\n`]);
    expect(await listImages(path.join(folder, 'sub/list.txt'))).toEqual([path.join(folder, 'a.png')]);
  });

  it('takes a single image as it is', async () => {
    put('one.jpg');
    expect(below(await listImages(path.join(folder, 'one.jpg')))).toEqual(['one.jpg']);
  });

  it.each<[string, () => void, string, RegExp]>([
    ['a missing folder', () => undefined, 'absent', /No such file or folder: .*absent/],
    ['a folder without images', () => put('text.md'), '.', /No image in /],
    ['an empty list', () => put(['list.txt', '\n\n']), 'list.txt', /names no image/],
    [
      'a list with a missing image',
      () => put('a.png', ['list.txt', 'a.png\nb.png\n']),
      'list.txt',
      /list\.txt, line 2: no such image: b\.png/,
    ],
    ['a binary file', () => put(['model.onnx', 'a\0b']), 'model.onnx', /neither a folder nor a text file/],
  ])('refuses %s', async (_, make, source, message) => {
    make();
    const attempt = listImages(path.join(folder, source));
    await expect(attempt).rejects.toThrow(InputError);
    await expect(attempt).rejects.toThrow(message);
  });
});

describe('class folders', () => {
  it('count in the order of their names, empty ones too', async () => {
    put('cat/2.jpg', 'cat/1.jpg', 'ant/x/3.png', 'bee/readme.md', '.git/y.png', 'loose.png');
    expect(await open()).toEqual({
      kind: 'class folders',
      items: [
        ['ant/x/3.png', 0],
        ['cat/1.jpg', 2],
        ['cat/2.jpg', 2],
      ],
      classes: ['ant', 'bee', 'cat'],
      notices: [],
    });
  });

  it.each<[string, string[]]>([
    ['WordNet ids', ['n01484850', 'n01440764']],
    ['texts', ['great white shark, white shark', 'tench, tinca tinca']],
    ['first synonyms', ['Great_White-shark', 'tench']],
  ])("are matched to the model's labels by %s", async (_, [shark, tench]) => {
    put(`${shark}/1.jpg`, `${tench}/2.jpg`);
    const { items, classes, notices } = await open({ labels: IMAGENET_LIKE });
    expect(Object.fromEntries(items)).toEqual({ [`${shark}/1.jpg`]: 2, [`${tench}/2.jpg`]: 0 });
    expect(classes).toEqual([tench, shark]);
    expect(notices).toEqual([]);
  });

  it('are indices when all their names are numbers', async () => {
    put('0/a.jpg', '10/b.jpg', '2/c.jpg');
    const { items, notices } = await open({ classCount: 11 });
    expect(items).toEqual([
      ['0/a.jpg', 0],
      ['10/b.jpg', 10],
      ['2/c.jpg', 2],
    ]);
    expect(notices).toEqual(['Class folders with numbers for names: taken as class indices.']);
    expect(await refusal({ classCount: 10 })).toMatch(/class folder 10, but the model has 10 classes, numbered from 0/);
  });

  it('may be links', async () => {
    put('real/a.jpg');
    mkdirSync(path.join(folder, 'set'));
    symlinkSync(path.join(folder, 'real'), path.join(folder, 'set/ant'));
    symlinkSync(path.join(folder, 'nowhere'), path.join(folder, 'set/broken'));
    expect((await open({}, 'set')).items).toEqual([['set/ant/a.jpg', 0]]);
  });

  it('fewer than classes are taken for the first, with a notice', async () => {
    put('a/1.jpg', 'b/1.jpg');
    expect((await open({ classCount: 1000 })).notices[0]).toMatch(
      /^2 class folders, in name order, .* first of the model's 1000 classes/,
    );
  });

  it('are refused when they do not fit the model', async () => {
    put('tench/1.jpg', 'goldfish/1.jpg', 'unicorn/1.jpg');
    expect(await refusal({ labels: IMAGENET_LIKE })).toMatch(
      /2 of 3 class folders name one of the model's labels, but unicorn does not/,
    );
    expect(await refusal({ classCount: 2 })).toMatch(/3 class folders, but the model has 2 classes/);
    put('n01440764/1.jpg');
    rmSync(path.join(folder, 'unicorn'), { recursive: true });
    expect(await refusal({ labels: IMAGENET_LIKE })).toMatch(/two class folders.* label n01440764 tench/);
  });

  it('without any image are refused', async () => {
    put('a/readme.md');
    expect(await refusal()).toMatch(/has no images/);
  });
});

describe('label files', () => {
  it.each(['labels.txt', 'val.txt'])('%s: path and index, between spaces, tabs or commas', async (name) => {
    put([name, 'images/a.JPEG 472\nmy cat, sleeping.png\t3\r\n\nb.png,5\nc 1.png , 0\n'], 'class/x.png');
    expect(await open({ classCount: 1000 })).toEqual({
      kind: 'label file',
      items: [
        ['images/a.JPEG', 472],
        ['my cat, sleeping.png', 3],
        ['b.png', 5],
        ['c 1.png', 0],
      ],
      notices: [],
    });
  });

  it('may say classes by label', async () => {
    put(['labels.txt', 'my cat.png great white shark\nb.png\ttench, Tinca tinca\nc.png, n01443537\n']);
    expect((await open({ labels: IMAGENET_LIKE })).items).toEqual([
      ['my cat.png', 2],
      ['b.png', 0],
      ['c.png', 1],
    ]);
  });

  it('labels.csv: quotes, a header, columns in any order', async () => {
    put(['labels.csv', 'id,Label,image_path\n1,"tench, Tinca tinca","a, ""b"".png"\n2,1,c d.png\n']);
    expect((await open({ labels: IMAGENET_LIKE })).items).toEqual([
      ['a, "b".png', 0],
      ['c d.png', 1],
    ]);
    put(['labels.csv', 'a.png,7\nb.png, 0\n']);
    expect((await open()).items).toEqual([
      ['a.png', 7],
      ['b.png', 0],
    ]);
  });

  it('may be given itself', async () => {
    put(['deep/mine.txt', 'a.png 1\n']);
    expect((await open({}, 'deep/mine.txt')).items).toEqual([['deep/a.png', 1]]);
  });

  it.each<[string, string, string, DatasetOptions, RegExp]>([
    [
      'an index out of range',
      'labels.txt',
      'a.png 0\n\nb.png 1000\n',
      { classCount: 1000 },
      /labels\.txt, line 3: class index 1000, but the model has 1000 classes, numbered from 0/,
    ],
    [
      'an unknown label',
      'val.txt',
      'a.png 0\nb.png unicorn\n',
      { labels: IMAGENET_LIKE },
      /val\.txt, line 2: class unicorn is neither an index nor one of the model's labels/,
    ],
    [
      'a label without labels',
      'val.txt',
      'b.png tench\n',
      {},
      /line 1: class tench is neither an index nor known, as the model has no labels/,
    ],
    ['a negative index', 'val.txt', 'b.png -1\n', { classCount: 10 }, /line 1: class -1 is neither/],
    [
      'a line without class',
      'labels.txt',
      'a.png 0\nb.png\n',
      {},
      /line 2: expected an image's path and its class, found: b\.png/,
    ],
    ['a row without class', 'labels.csv', 'path,class\na.png\n', {}, /labels\.csv, line 2: expected/],
    ['nothing', 'labels.txt', '\n', {}, /has no images/],
  ])('with %s are refused', async (_, name, content, options, message) => {
    put([name, content]);
    expect(await refusal(options)).toMatch(message);
  });
});

it('a folder that is no dataset is refused', async () => {
  put('a.png', 'b.png');
  expect(await refusal()).toMatch(
    /is not a dataset: it has neither class folders nor one of labels\.txt, val\.txt, labels\.csv/,
  );
  expect(await refusal({}, 'absent')).toMatch(/No such file or folder/);
});
