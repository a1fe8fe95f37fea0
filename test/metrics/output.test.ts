import { expect, test } from 'vitest';
import { classifierOf, distinctOutputs, outputOf, type ModelOutput } from '../../src/metrics/output.js';
import { OutputsMeter } from '../../src/metrics/similarity.js';

const output = (name: string, shape: number[], start: number, isClasses = true): ModelOutput => ({
  name,
  shape,
  start,
  tail: [],
  isClasses,
});

test('an output is its part of the value', () => {
  const values = Int32Array.of(1, 2, 3, 4, 5, 6);
  expect([...outputOf(values, output('map', [2, 2], 1))]).toEqual([2, 3, 4, 5]);
  expect([...outputOf(values, output('number', [], 5))]).toEqual([6]);
});

test('the classifier is the only class vector, else the one called logits', () => {
  const [age, kind, logits] = [output('age', [1], 0, false), output('kind', [6], 1), output('Logits', [10], 7)];
  expect(classifierOf([age, kind])).toBe(kind);
  expect(classifierOf([kind, logits])).toBe(logits);
  expect(classifierOf([kind, output('aux_logits', [4], 6)])?.name).toBe('aux_logits');
  expect(classifierOf([kind, output('colour', [4], 6)])).toBeNull();
  expect(classifierOf([age])).toBeNull();
});

test('probabilities of the same scores are no second vector', () => {
  const [a, b] = [output('scores', [3], 0), output('probabilities', [3], 0)];
  expect(classifierOf([a, b])).toBe(a);
  expect(distinctOutputs([a, b, output('c', [2], 3)]).map(({ name }) => name)).toEqual(['scores', 'c']);
});

test('each output is compared by itself: a small one is not drowned by a large one', () => {
  const meter = new OutputsMeter([output('large', [2], 0, false), output('small', [2], 2)]);
  meter.add(Float32Array.of(1000, -1000, 1, 0), Float64Array.of(1000, -1000, 0.9, 0.1));
  const [large, small] = meter.result();
  expect(large).toMatchObject({ sqnrDb: Infinity, cosine: 1, top1Agreement: null, kl: null });
  expect(small.sqnrDb).toBeCloseTo(10 * Math.log10(1 / 0.02), 4);
  expect(small.cosine).toBeCloseTo(0.9 / Math.sqrt(0.82), 6);
  expect(small.top1Agreement).toBe(1);
});
