import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { readLabels } from '../../src/images/label-list.js';
import { labelSynset, labelText } from '../../src/images/label-text.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(os.tmpdir(), 'ivit-labels-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function put(name: string, content: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return file;
}

describe('readLabels', () => {
  it('reads one label per line, WordNet ids kept for matching and not shown', async () => {
    const labels = await readLabels(
      put('words.txt', '\uFEFFn01440764 tench, Tinca tinca\r\nn01443537 goldfish\n\n'),
      2,
    );
    expect(labels.map(labelText)).toEqual(['tench, Tinca tinca', 'goldfish']);
    expect(labels.map(labelSynset)).toEqual(['n01440764', 'n01443537']);
    expect([labelText('n12'), labelSynset('nice cat')]).toEqual(['n12', undefined]);
  });

  it.each([
    ['an array', '["ant", "bee "]'],
    ['id2label', '{"model_type": "vit", "id2label": {"1": "bee", "0": "ant"}}'],
    ['the map itself', ' {"0": "ant", "1": "bee"}'],
  ])('reads JSON: %s', async (_, content) => {
    expect(await readLabels(put('labels.json', content))).toEqual(['ant', 'bee']);
  });

  it.each<[string, string, RegExp]>([
    ['an empty file', '', /is empty/],
    ['a gap', 'ant\n\nbee\n', /line 2: no label/],
    ['another number of classes', 'ant\nbee\ncat\n', /has 3 labels, but the model has 2 classes/],
    ['broken JSON', '{"0": ', /is neither JSON nor YAML/],
    ['an array of numbers', '["a", 2]', /the label of class 1 is not a text/],
    ['a missing id', '{"0": "ant", "2": "bee"}', /no label for class 1/],
  ])('refuses %s', async (_, content, message) => {
    const attempt = readLabels(put('labels', content), 2);
    await expect(attempt).rejects.toThrow(InputError);
    await expect(attempt).rejects.toThrow(message);
  });

  it('names a missing file', async () => {
    await expect(readLabels(path.join(folder, 'absent.txt'))).rejects.toThrow(
      /Cannot read .*absent\.txt: no such file/,
    );
  });

  const THREE = ['ant', 'bee', "cat's eye"];

  it.each<[string, string, string]>([
    ['a Keras class index', 'a.json', '{"0": ["n1", "ant"], "1": ["n2", "bee"], "2": ["n3", "cat\'s eye"]}'],
    ['class_to_idx', 'a.json', '{"bee": 1, "ant": 0, "cat\'s eye": 2}'],
    ['a nested label2id', 'a.json', '{"label2id": {"bee": 1, "ant": 0, "cat\'s eye": 2}, "id": 5}'],
    ['objects', 'a.json', '[{"id": 1, "name": "bee"}, {"id": 0, "name": "ant"}, {"id": 2, "name": "cat\'s eye"}]'],
    ['COCO categories', 'a.json', '{"categories": [{"name": "ant"}, {"name": "bee"}, {"name": "cat\'s eye"}]}'],
    ['a Python dict', 'a.txt', `{0: 'ant',\n 1: 'bee',\n 2: "cat's eye"}`],
    ['a Python list', 'a.txt', `['ant', 'bee', "cat's eye",]`],
    ['YAML', 'a.yaml', `nc: 3\nnames:\n  0: ant\n  1: bee\n  2: cat's eye\n`],
    ['indices in front', 'a.txt', "0: ant\n2: cat's eye\n1: bee\n"],
    ['indices in front, without colon', 'a.txt', "0 ant\r\n1 bee\r\n2 cat's eye\r\n"],
    ['indices behind', 'a.txt', "ant,0\nbee,1\ncat's eye,2\n"],
    ['a table with a header', 'a.csv', "id,name\n0,ant\n1,bee\n2,cat's eye\n"],
    ['quotes', 'a.txt', `"ant"\n'bee'\n"cat's eye"\n`],
  ])('reads %s', async (_, name, content) => {
    const labels = await readLabels(put(name, content), 3);
    expect(labels.map((label) => label.replace(/^n\d /, ''))).toEqual(THREE);
  });

  it.each([
    ['little-endian, marked', '\uFEFF', false],
    ['little-endian', '', false],
    ['big-endian, marked', '\uFEFF', true],
  ])('reads UTF-16: %s', async (_, mark, isBig) => {
    const bytes = Buffer.from(`${mark}ant\r\nbee\r\nfür`, 'utf16le');
    const file = path.join(folder, 'wide.txt');
    writeFileSync(file, isBig ? bytes.swap16() : bytes);
    expect(await readLabels(file)).toEqual(['ant', 'bee', 'für']);
  });

  it('leaves numbers that belong to the names', async () => {
    expect(await readLabels(put('a.txt', 'digit 0\ndigit 1\n'))).toEqual(['digit 0', 'digit 1']);
    expect(await readLabels(put('b.txt', '7 up\ncola\n'))).toEqual(['7 up', 'cola']);
  });

  it('refuses an object that holds no labels', async () => {
    await expect(readLabels(put('a.json', '{"model": "vit"}'))).rejects.toThrow(/holds no list of labels/);
  });
});

describe('numbered lists', () => {
  it.each(['1. cat\n2. big dog\n', '0) cat\n1) big dog', '(1) cat\n(2) big dog'])('%j', async (content) => {
    expect(await readLabels(put('labels.txt', content), 2)).toEqual(['cat', 'big dog']);
  });

  it.each(['3. cat\n4. dog', '1. cat\n3. dog', 'cat\n2. dog'])('%j is names as they stand', async (content) => {
    expect(await readLabels(put('labels.txt', content), 2)).toEqual(content.split('\n'));
  });
});
