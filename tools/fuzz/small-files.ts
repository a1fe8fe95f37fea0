/** Images, datasets, labels, configurations and statistics: bytes and texts changed. */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openDataset, listImages } from '../../src/images/datasets/index.js';
import { decodeImage } from '../../src/images/decode.js';
import { readLabels } from '../../src/images/label-list.js';
import { Random } from '../../src/images/random.js';
import { changeBytes, pick, type Recipe, type Target } from './target.js';

const changed =
  (bases: readonly Uint8Array[], change: (bytes: Uint8Array, random: Random) => Uint8Array) =>
  ({ base, steps }: Recipe) =>
    steps.reduce<Uint8Array>((bytes, step) => change(bytes, new Random(step)), bases[base]);

function temporary(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'ivit-fuzz-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function imageTarget(folder: string): Target {
  const bases = readdirSync(folder)
    .filter((name) => /\.(jpg|png|gif|webp|tif|bmp|p[bgp]m)$/.test(name))
    .map((name) => new Uint8Array(readFileSync(path.join(folder, name))));
  return {
    name: 'images',
    bases: bases.length,
    make: changed(bases, changeBytes),
    use: async (bytes) => (await decodeImage(bytes)).data.length > 0,
  };
}

const TEXTS = {
  'labels.txt': 'a/0.png 0\na/1.png 1\nb/0.png 2\n',
  'labels.csv': 'image,label\na/0.png,0\n"b/0.png",cat\nc,2\n',
  'metadata.jsonl': '{"file_name": "a/0.png", "label": 1}\n{"file_name": "b/0.png", "label": "x"}\n',
  'labels.tsv': 'path\tclass\na/0.png\t3\n',
  'val_annotations.txt': '0.png\tn01443537\t0\t32\t44\t62\n1.png\tn01443537\t0\t32\t44\t62\n',
  'names.json': '{"id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0, "dog": 1}}',
  'names.yaml': 'names:\n  0: cat\n  1: dog\nother: &a [1, 2]\nthird: *a\n',
};

/** Parts that mean something to one of the readers. */
const WORDS = [
  '"',
  "'",
  ',',
  '\t',
  '\n',
  '\r\n',
  '{',
  '}',
  '[',
  ']',
  ':',
  '&a',
  '*a',
  '../',
  '/dev/zero',
  '\0',
  '\ufeff',
  '-1',
  '1e9',
  '9'.repeat(400),
  'a'.repeat(5000),
  '__proto__',
  '\u001b[2J',
];

function changeText(bytes: Uint8Array, random: Random): Uint8Array {
  if (random.integer(2) === 0) return changeBytes(bytes, random);
  const at = random.integer(bytes.length + 1);
  const word = pick(random, WORDS).repeat(random.integer(4) === 0 ? 1 + random.integer(300) : 1);
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(word), bytes.subarray(at + random.integer(4))]);
}

export function textTarget(): Target {
  const folder = temporary();
  for (const name of ['a', 'b']) mkdirSync(path.join(folder, 'set', name), { recursive: true });
  for (const name of ['a/0.png', 'a/1.png', 'b/0.png', '0.png']) writeFileSync(path.join(folder, 'set', name), 'x');
  const names = Object.keys(TEXTS);
  const make = changed(
    Object.values(TEXTS).map((text) => Buffer.from(text)),
    changeText,
  );
  return {
    name: 'texts',
    bases: names.length,
    // The first byte says which reader it is for.
    make: (recipe) => Buffer.concat([Uint8Array.of(recipe.base), make(recipe)]),
    async use(bytes) {
      const name = names[bytes[0]];
      const file = path.join(folder, 'set', name);
      writeFileSync(file, bytes.subarray(1));
      try {
        if (name.startsWith('names')) return (await readLabels(file)).length > 0;
        await listImages(file).catch(expected);
        return (await openDataset(file, { classCount: 4, labels: ['cat', 'dog', 'x', 'y'] })).items.length > 0;
      } finally {
        rmSync(file);
      }
    },
  };
}

function expected(error: unknown): void {
  if ((error as Error).name !== 'InputError') throw error;
}
