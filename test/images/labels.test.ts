import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { findLabels, labelIndex, labelSynset, labelText, readLabels } from '../../src/images/labels.js';

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
    ['broken JSON', '{"0": ', /is not JSON/],
    ['an array of numbers', '["a", 2]', /the label of class 1 is not a text/],
    ['a missing id', '{"0": "ant", "2": "bee"}', /id2label has no label for class 1/],
  ])('refuses %s', async (_, content, message) => {
    const attempt = readLabels(put('labels', content), 2);
    await expect(attempt).rejects.toThrow(InputError);
    await expect(attempt).rejects.toThrow(message);
  });

  it('names a missing file', async () => {
    await expect(readLabels(path.join(folder, 'absent.txt'))).rejects.toThrow(
      /Cannot read the labels .*absent\.txt: no such file/,
    );
  });
});

describe('findLabels', () => {
  const model = () => path.join(folder, 'model.onnx');

  it('takes the id2label of config.json', async () => {
    put('config.json', '{"id2label": {"0": "ant", "1": "bee"}}');
    expect(await findLabels(model(), 2)).toEqual(['ant', 'bee']);
  });

  it('finds none without the file or the key, for another number of classes, or for placeholders', async () => {
    expect(await findLabels(model(), 2)).toBeUndefined();
    put('config.json', '{"num_classes": 2}');
    expect(await findLabels(model(), 2)).toBeUndefined();
    put('config.json', '{"id2label": {"0": "ant", "1": "bee"}}');
    expect(await findLabels(model(), 3)).toBeUndefined();
    put('config.json', '{"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}');
    expect(await findLabels(model(), 2)).toBeUndefined();
  });
});

describe('labelIndex', () => {
  const find = labelIndex([
    'n02012849 crane',
    'n03126707 crane',
    'n03710637 maillot',
    'n03710721 maillot, tank suit',
    'sea lion',
    'sea, open',
  ]);

  it('finds by the whole, the text, the WordNet id, or the first synonym', () => {
    expect(['n03710637 maillot', 'MAILLOT', 'n03710721', 'maillot, tank suit', 'Sea_Lion', 'sea'].map(find)).toEqual([
      2, 2, 3, 3, 4, 5,
    ]);
  });

  it('finds nothing for what is unknown or means two classes', () => {
    expect(['crane', 'tank suit', 'n99999999', ''].map(find)).toEqual([undefined, undefined, undefined, undefined]);
    expect(find('n02012849')).toBe(0);
  });
});
