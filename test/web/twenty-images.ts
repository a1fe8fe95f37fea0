/** Twenty images of the fixture, with the digests that the native backend gives. */
import path from 'node:path';
import { expect } from 'vitest';
import { digestOf } from '../../src/metrics/output-digest.js';
import { createEngine } from '../../src/engine/engine.js';
import { decodeImage } from '../../src/images/decode.js';
import type { RgbImage } from '../../src/images/image.js';
import { applyRecipe } from '../../src/images/preprocess/recipe.js';
import { loadModel } from '../../src/program/file.js';
import { REPOSITORY, filesBelow } from '../repository/sources.js';
import { GOLDEN_DIGESTS, SCENES_MODEL } from '../scenes.js';

export interface TestImage extends RgbImage {
  /** Relative to the repository. */
  readonly file: string;
  readonly digest: string;
}

export async function twentyImages(): Promise<TestImage[]> {
  const { program, preprocess } = await loadModel(SCENES_MODEL);
  const engine = await createEngine(program);
  const files = filesBelow('fixtures/scenes/test').filter((file) => file.endsWith('.jpg'));
  const chosen = [...Object.keys(GOLDEN_DIGESTS).map((name) => `fixtures/scenes/test/${name}`), ...files.slice(0, 17)];
  const found: TestImage[] = [];
  for (const file of chosen) {
    const image = await decodeImage(path.join(REPOSITORY, file));
    const digest = digestOf(await engine.run(applyRecipe(image, preprocess)));
    found.push({ ...image, file, digest });
  }
  await engine.close();
  expect(found.slice(0, 3).map(({ digest }) => digest)).toEqual(Object.values(GOLDEN_DIGESTS));
  return found;
}
