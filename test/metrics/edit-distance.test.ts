import { expect, test } from 'vitest';
import { editDistance } from '../../src/metrics/edit-distance.js';

test.each([
  ['', '', 0],
  ['onx', 'onnx', 1],
  ['kitten', 'sitting', 3],
  ['c', '', 1],
])('editDistance(%j, %j) is %i', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
});
