import { expect, test } from 'vitest';
import { isPoor, worstLayers } from '../../src/quantize/report.js';

const agreement = (top1Agreement: number | null, sqnrDb: number, images = 32) => ({ images, top1Agreement, sqnrDb });

test('a model is poor that decides otherwise too often and whose logits are far', () => {
  expect(isPoor([agreement(0.89, 12)])).toBe(true);
  expect(isPoor([agreement(0.1, -3)])).toBe(true);
  expect(isPoor([agreement(0.9, 12)])).toBe(false);
  expect(isPoor([agreement(1, 6, 2)]), 'two images decide nothing').toBe(true);
  expect(isPoor([agreement(1, 21, 2)])).toBe(false);
  // A float model that hardly prefers one class: the least noise decides.
  expect(isPoor([agreement(0.5, 35)])).toBe(false);
  expect(isPoor([agreement(NaN, NaN)]), 'nothing to be seen is no comfort').toBe(true);
});

test('an output without classes is judged by its numbers, and the worst output tells', () => {
  expect(isPoor([agreement(null, 19)])).toBe(true);
  expect(isPoor([agreement(null, 21)])).toBe(false);
  expect(isPoor([agreement(1, 40), agreement(null, 12)])).toBe(true);
});

test('the worst layers come first, and no more than asked for', () => {
  const layers = [30, -Infinity, 12, 40].map((sqnrDb) => ({ sqnrDb }));
  expect(worstLayers(layers, 2).map(({ sqnrDb }) => sqnrDb)).toEqual([-Infinity, 12]);
  expect(layers.map(({ sqnrDb }) => sqnrDb)).toEqual([30, -Infinity, 12, 40]);
  const others = [NaN, 30, Infinity, NaN, 12, Infinity].map((sqnrDb) => ({ sqnrDb }));
  expect(worstLayers(others, 3).map(({ sqnrDb }) => sqnrDb)).toEqual([12, 30, NaN]);
});
