import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { everyEngine } from '../../src/engine/every.js';
import { ivitTarget } from '../../tools/fuzz/ivit-files.js';
import { onnxTarget } from '../../tools/fuzz/onnx-files.js';
import { programTarget } from '../../tools/fuzz/programs.js';
import { containerTarget } from '../../tools/fuzz/containers.js';
import { imageTarget, textTarget } from '../../tools/fuzz/small-files.js';
import { minimised, recipeOf, tryInput, type Target } from '../../tools/fuzz/target.js';

const fixtures = path.join(import.meta.dirname, '../../fixtures');
const engines = await everyEngine();
/** Of all runs here. More, and longer: npm run fuzz -- --minutes 60 --seed 2. */
const SEED = 1;

describe('changed inputs are used, or refused with an InputError', () => {
  test.each<[target: Target, inputs: number]>([
    [ivitTarget(engines), 2000],
    [programTarget(engines), 60],
    [onnxTarget(path.join(fixtures, 'zoo'), path.join(fixtures, 'zoo2')), 60],
    [imageTarget(path.join(fixtures, 'decode')), 500],
    [textTarget(), 500],
    // A damaged Parquet file, the 53rd, takes the 30 seconds that it is given: for `npm run fuzz`.
    [containerTarget(), 52],
  ])('$name', async (target, inputs) => {
    let accepted = 0;
    for (let i = 0; i < inputs; i++) {
      const recipe = recipeOf(target, SEED, i);
      const outcome = await tryInput(target, recipe);
      expect(outcome.fault, `input ${i}: ${JSON.stringify(recipe)}`).toBeNull();
      if (outcome.accepted) accepted++;
    }
    // Neither is everything refused, which would test nothing.
    expect(accepted).toBeGreaterThan(0);
  });
});

test('a fault is shown with as few changes as it takes', async () => {
  const target: Target = {
    name: 'one bad change',
    bases: 1,
    make: ({ steps }) => Uint8Array.from(steps),
    use: (bytes) => (bytes.includes(7) ? Promise.reject(new TypeError('a fault')) : Promise.resolve(true)),
  };
  expect(await minimised(target, { base: 0, steps: [3, 7, 5] })).toEqual({ base: 0, steps: [7] });
});
