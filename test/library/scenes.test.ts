import path from 'node:path';
import { expect, test } from 'vitest';
import { Model, evaluate, quantize } from '../../src/index.js';
import { REPOSITORY, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();
const scenes = path.join(REPOSITORY, 'fixtures/scenes');
const float = path.join(scenes, 'scenes_vit.onnx');

test('the trained fixture: the integer model decides as the float model does', async () => {
  const { output, agreement } = await quantize(float, { images: path.join(scenes, 'calibration'), output: folder.path('scenes.ivit') });
  expect(agreement.top1Agreement).toBeGreaterThanOrEqual(0.95);

  const model = await Model.load(output);
  const figures = await evaluate(model, { dataset: path.join(scenes, 'test'), float });
  await model.close();
  expect(figures.images).toBeGreaterThanOrEqual(200);
  expect(figures.float!.top1).toBeGreaterThan(0.8);
  expect(Math.abs(figures.top1 - figures.float!.top1)).toBeLessThanOrEqual(0.01);
  expect(figures.float!.agreement).toBeGreaterThanOrEqual(0.98);
  expect(figures.float!.kl).toBeLessThan(0.005);
});
