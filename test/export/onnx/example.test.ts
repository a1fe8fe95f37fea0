import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { onnxTarget } from '../../../src/export/onnx/index.js';
import { decodeImage } from '../../../src/images/decode.js';
import { applyRecipe } from '../../../src/images/preprocess/recipe.js';
import { loadModel } from '../../../src/program/file.js';
import { GOLDEN_DIGESTS, SCENES, SCENES_MODEL } from '../../scenes.js';

/** A Python with packages that need not be there. */
const PYTHON = process.env.IVIT_PYTHON ?? 'python3';
const hasPackages = spawnSync(PYTHON, ['-c', 'import numpy, onnxruntime, PIL']).status === 0;
const SCRIPT = path.resolve(import.meta.dirname, '../../../examples/onnx/run.py');

const folder = mkdtempSync(path.join(tmpdir(), 'ivit-onnx-example-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.skipIf(!hasPackages)(
  'the Python example prints the golden digests',
  async () => {
    const model = await loadModel(SCENES_MODEL);
    const { files } = await onnxTarget.write({ model, name: 'scenes', options: {} });
    const onnx = path.join(folder, 'scenes.onnx');
    writeFileSync(onnx, files.get('scenes.onnx')!);
    const images = Object.keys(GOLDEN_DIGESTS).map((name) => path.join(SCENES, 'test', name));
    const pixels = path.join(folder, 'pixels.bin');
    writeFileSync(pixels, applyRecipe(await decodeImage(images[0]), model.preprocess));
    const digests = Object.values(GOLDEN_DIGESTS);
    const printed = execFileSync(PYTHON, [SCRIPT, onnx, ...images, pixels], { encoding: 'utf8' });
    expect(printed.match(/^[0-9a-f]{64}/gm)).toEqual([...digests, digests[0]]);
  },
  60_000,
);
