import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findLabels, labelIndex } from '../../src/images/labels.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(os.tmpdir(), 'ivit-labels-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function put(name: string, content: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return file;
}

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
