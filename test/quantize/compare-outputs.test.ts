import { expect, test } from 'vitest';
import { compareOutputs } from '../../src/quantize/compare-outputs.js';

const outputs = [
  { name: 'depth', start: 0, tail: [], shape: [2], isClasses: false },
  { name: 'pooled', start: 2, tail: [], shape: [1], isClasses: false },
];

test('outputs that the float model gives alike for all images are named', () => {
  const namesOf = (...images: number[][]) =>
    compareOutputs(
      { outputs },
      images.map((values) => Float32Array.from(values)),
      images.map((values) => Float64Array.from(values, (v) => v + 1)),
    ).constantOutputs;
  expect(namesOf([0, 0, 1], [0, 0, 2])).toEqual(['depth']);
  expect(namesOf([0, 3, 1], [0, 3, 1], [0, 3, 1])).toEqual(['depth', 'pooled']);
  expect(namesOf([0, 3, 1], [0, 4, 2])).toEqual([]);
  // One image has nothing to differ from.
  expect(namesOf([0, 3, 1])).toEqual([]);
});
