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
    ['a binary file', () => put(['model.onnx', 'a\0b']), 'model.onnx', /is not a text file/],
  ])('refuses %s', async (_, make, source, message) => {
    make();
    const attempt = listImages(path.join(folder, source));
    await expect(attempt).rejects.toThrow(InputError);
    await expect(attempt).rejects.toThrow(message);
  });
});

describe('links and repetitions', () => {
  it('links to folders are followed, but not back to where they came from', async () => {
    put('set/cat/1.jpg', 'set/dog/2.jpg', 'more/deep/3.jpg');
    symlinkSync(path.join(folder, 'more'), path.join(folder, 'set/cat/linked'));
    for (const target of ['..', '.', '../..']) symlinkSync(target, path.join(folder, `more/deep/up${target.length}`));
    symlinkSync('..', path.join(folder, 'set/dog/up'));
    symlinkSync(path.join(folder, 'set/cat'), path.join(folder, 'more/cat'));
    const { items } = await open({}, 'set');
    expect(items).toEqual([
      ['set/cat/1.jpg', 0],
      ['set/cat/linked/deep/3.jpg', 0],
      ['set/dog/2.jpg', 1],
    ]);
  });

  it('an image that is listed twice is told', async () => {
    put('a.jpg', 'b.jpg', ['labels.txt', 'a.jpg 0\nb.jpg 1\na.jpg 1\nb.jpg 1\n']);
    expect((await open()).notices).toEqual([
      expect.stringMatching(
        /^WARNING: images are listed 2 times more than once, 1 times with another class, as .*a\.jpg/,
      ),
    ]);
  });
});

describe('class folders', () => {
  it('counts images that are not decoded by kind', async () => {
    put('cat/1.jpg', 'cat/2.HEIC', 'dog/3.heic', 'dog/4.svg', 'dog/notes.txt', 'dog/.5.heic');
    const { items, unread } = await openDataset(folder);
    expect(items).toHaveLength(1);
    expect(unread?.byExtension()).toEqual({ heic: 2, svg: 1 });
    expect(unread?.notice('set')).toBe(
      'set: 3 images are left out, of a kind that is not decoded (2 .heic, 1 .svg): convert to JPEG or PNG',
    );
  });

  it('of images that are not decoded alone are refused, and told why', async () => {
    put('cat/1.jxl', 'dog/2.jxl');
    await expect(openDataset(folder)).rejects.toThrow(/has no images that can be decoded\. .*\(2 \.jxl\): convert/);
    await expect(listImages(folder)).rejects.toThrow(/^No image in .* that can be decoded\. .*\(2 \.jxl\): convert/);
  });

  it('count in the order of their names, empty ones too', async () => {
    put('cat/2.jpg', 'cat/1.jpg', 'ant/x/3.png', 'bee/readme.md', '.git/y.png', 'loose.png');
    expect(await open()).toMatchObject({
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
    const { items, notices } = await open({}, 'set');
    expect(items).toEqual([['set/ant/a.jpg', 0]]);
    expect(notices).toEqual([expect.stringMatching(/^WARNING: .*links that lead nowhere are left out: broken/)]);
  });

  it('fewer than classes are refused, where nothing says which they are', async () => {
    put('a/1.jpg', 'b/1.jpg');
    expect(await refusal({ classCount: 1000 })).toMatch(/2 class folders \(a, b\), but the model has 1000 classes/);
  });

  it('of other names than the labels are refused, with what was found and what to give', async () => {
    put('owl/1.jpg', 'wolf/1.jpg', 'yak/1.jpg');
    const plain = { labels: ['tench', 'goldfish', 'shark'] };
    expect(await refusal(plain)).toMatch(/none of its 3 folders \(owl, wolf, yak\) names one of .* 3 labels \(tench, /);
  });

  it.each([
    ['WordNet ids', ['n01440764', 'n01443537'], /WordNet ids: give the model labels that begin with them/],
    ['train and val', ['train', 'val'], /train, val are parts of a dataset; choose one, as in --dataset .*val$/],
    ['Training and Test_set', ['Test_set', 'Training'], /parts of a dataset; .*Test_set$/],
    ['images', ['images'], /images is no class/],
  ])('called %s are refused for plain labels', async (_, folders, message) => {
    put(...folders.map((name) => `${name}/cat/1.jpg`));
    expect(await refusal({ labels: ['tench', 'goldfish'] })).toMatch(message);
  });

  it('with a number each are ordered by it, else as Python sorts, which is said', async () => {
    put(...Array.from({ length: 12 }, (_, i) => `class${i}/x.jpg`));
    const { items, notices } = await open({ labels: Array.from({ length: 12 }, (_, i) => `animal${i}`) });
    expect(Object.fromEntries(items)).toMatchObject({ 'class2/x.jpg': 2, 'class10/x.jpg': 10 });
    expect(notices).toEqual(['Class folders with numbers in their names: taken as class indices.']);
    rmSync(path.join(folder, 'class0'), { recursive: true });
    expect((await open({ classCount: 11 })).notices).toEqual([
      expect.stringMatching(
        /^Class folders are numbered from 0 in the order class1, class10, class11, class2, class3, .*/,
      ),
    ]);
  });

  it.each([
    ['plain', 'cat\nant\n'],
    ['numbered', '0 cat\n1 ant\n'],
  ])(
    'are not hidden by a labels.txt of class names, %s, which numbers the classes of a model without labels',
    async (_, names) => {
      put('ant/0.jpg', 'cat/0.jpg', ['labels.txt', names]);
      const { kind, items, notices } = await open({ classCount: 2 });
      expect({ kind, items }).toEqual({
        kind: 'class folders',
        items: [
          ['ant/0.jpg', 1],
          ['cat/0.jpg', 0],
        ],
      });
      expect(notices[0]).toMatch(/classes are numbered by .*labels\.txt/);
    },
  );

  it('are refused when they do not fit the model', async () => {
    put('tench/1.jpg', 'goldfish/1.jpg', 'unicorn/1.jpg');
    expect(await refusal({ labels: IMAGENET_LIKE })).toMatch(
      /2 of 3 class folders name one of the model's labels, but unicorn does not/,
    );
    expect(await refusal({ classCount: 2 })).toMatch(/3 class folders \(.*\), but the model has 2 classes/);
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
  expect(await refusal()).toMatch(/is not a dataset: it has none of one folder per class, .*labels\.csv/);
  expect(await refusal({}, 'absent')).toMatch(/No such file or folder/);
});

describe('tables', () => {
  const PLAIN = { labels: ['ant', 'bee', 'cat'] };
  const EXPECTED = [
    ['images/a.jpg', 1],
    ['images/b.png', 2],
  ];

  it.each<[string, string, string]>([
    ['ImageId,Class, without extensions', 'labels.csv', 'ImageId,Class\na,bee\nb,cat\n'],
    ['image_id,label', 'labels.csv', 'image_id,label\nimages/a.jpg,1\nimages/b.png,2\n'],
    ['id,breed', 'labels.csv', '\uFEFFid,breed\r\na,bee\r\nb,cat\r\n'],
    [
      'ImageId,PredictionString',
      'labels.csv',
      'ImageId,PredictionString\na,bee 1 2 30 40 \nb,cat 1 1 2 2 cat 3 3 4 4\n',
    ],
    ['semicolons and quotes', 'labels.csv', '"path";"label"\n"images/a.jpg";"bee"\n"images/b.png";2\n'],
    ['tabs', 'labels.tsv', 'path\tlabel\na.jpg\t1\nb.png\t2\n'],
    ['one-hot columns', 'labels.csv', 'filename,cat,ant,bee\na.jpg,0,0,1\nb.png,1,0,0\n'],
    [
      'one-hot columns of truth values',
      'labels.csv',
      'image,cat,ant,bee\na.jpg,False,False,True\nb.png,true,false,false\n',
    ],
    ['paths of another machine', 'labels.csv', 'path,label\n/kaggle/input/x/a.jpg,bee\n/kaggle/input/x/b.png,cat\n'],
    ['extensions in other letters', 'labels.csv', 'path,label\na.JPG,bee\nb.PNG,cat\n'],
    ['one-hot columns of decimals', 'Labels.CSV', 'id,cat,ant,bee\na,0.0,0.0,1.0\nb,1.0,0.0,0.0\n'],
    ["Hugging Face's metadata.csv", 'metadata.csv', 'file_name,label\nimages/a.jpg,1\nimages/b.png,2\n'],
    [
      "Hugging Face's metadata.jsonl",
      'metadata.jsonl',
      '{"label": 1, "file_name": "images/a.jpg"}\n{"file_name": "images/b.png", "label": "cat"}\n',
    ],
    ["Tiny-ImageNet's annotations", 'val_annotations.txt', 'a.jpg\tbee\t0\t0\t63\t63\nb.png\tcat\t0\t0\t1\t2\n'],
    ['a table of another name', 'train_v2.csv', 'when,photo,species\nnow,a.jpg,bee\nthen,b.png,cat\n'],
  ])('%s', async (_, name, content) => {
    put('images/a.jpg', 'images/b.png', [name, content]);
    expect((await open(PLAIN)).items).toEqual(EXPECTED);
  });

  it('of UTF-16 are read', async () => {
    put('images/a.jpg', 'images/b.png');
    writeFileSync(path.join(folder, 'labels.csv'), Buffer.from('\uFEFFpath,label\na,1\nb,2\n', 'utf16le'));
    expect((await open(PLAIN)).items).toEqual(EXPECTED);
  });

  it.each<[string, string, DatasetOptions, RegExp]>([
    ['an unknown class column', 'id,ant,bee,yak\na,1,0,0\n', PLAIN, /header: class yak is neither/],
    ['too few class columns', 'id,ant,bee\na,1,0\n', { classCount: 3 }, /2 class columns, but the model has 3 classes/],
    ['indices from 1', 'id,label\na,1\nb,3\n', PLAIN, /line 3: class index 3, .*do the indices count from 1/],
  ])('with %s are refused', async (_, content, options, message) => {
    put('images/a.jpg', 'images/b.png', ['labels.csv', content]);
    expect(await refusal(options)).toMatch(message);
  });

  it('of which there are several are listed', async () => {
    put('images/a.jpg', ['one.csv', 'id,label\na,1\n'], ['two.csv', 'id,label\na,1\n']);
    expect(await refusal(PLAIN)).toMatch(/several tables of images, .*one\.csv, .*two\.csv/);
  });
});

describe('files that are no tables', () => {
  it.each(['annotations.json', 'labels.xlsx', 'data.yaml'])('%s is told what is read', async (name) => {
    put('a.jpg', [name, '[{"image": "a.jpg", "label": 3}]']);
    expect(await refusal({ classCount: 5 }, name)).toMatch(/datasets are not read from \.\w+ files\. .*\.jsonl/);
  });

  it('a folder of class folders one level down is named', async () => {
    put('data/cat/a.jpg', 'data/dog/b.jpg');
    expect(await refusal({ classCount: 2 })).toContain(`${path.join(folder, 'data')}, where it holds them`);
  });
});
