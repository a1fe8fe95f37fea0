import { describe, expect, test } from 'vitest';
import { importModel, UnsupportedModelError } from '../../../src/importer/index.js';
import { floats, ints, writeModel } from '../../onnx/build.js';
import { chain, CHANNELS, importAndCompare, TOKENS, withStem, type Step } from './stem.js';

const initializers = {
  eps: floats([], [1e-6]),
  shape: ints([1, TOKENS, CHANNELS]),
  two: floats([], [2]),
  split: ints([1, TOKENS, 2, CHANNELS / 2]),
};
const axes = { axes: [-1], keepdims: 1 };
/** Heads of tokens, x in rows of half its channels, and the heads' rows in another order. */
const heads: readonly Step[] = [
  ['Reshape', ['x', 'split'], 'h'],
  ['Transpose', ['h'], 't', { perm: [0, 2, 1, 3] }],
  ['ReduceL2', ['h'], 'n', axes],
];

const variants: Record<string, readonly Step[]> = {
  'ReduceL2, Clip, Expand, Div': [
    ['ReduceL2', ['x'], 'n', axes],
    ['Clip', ['n', 'eps'], 'c'],
    ['Expand', ['c', 'shape'], 'e'],
    ['Div', ['x', 'e'], 'y'],
  ],
  'ReduceL2, Max, Div': [
    ['ReduceL2', ['x'], 'n', axes],
    ['Max', ['n', 'eps'], 'c'],
    ['Div', ['x', 'c'], 'y'],
  ],
  'root of a sum of squares': [
    ['Pow', ['x', 'two'], 'p'],
    ['ReduceSum', ['p', 'axes'], 's'],
    ['Sqrt', ['s'], 'n'],
    ['Max', ['eps', 'n'], 'c'],
    ['Div', ['x', 'c'], 'y'],
  ],
};

describe('L2 norm', () => {
  test('norms of rows that are moved alike', async () => {
    const steps: readonly Step[] = [
      ...heads,
      ['Transpose', ['n'], 'm', { perm: [0, 2, 1, 3] }],
      ['Max', ['m', 'eps'], 'c'],
      ['Div', ['t', 'c'], 'y'],
    ];
    const { nodes } = await importAndCompare({ nodes: chain(...steps), initializers });
    expect(nodes).toMatchObject([{ op: 'l2Norm', cols: CHANNELS / 2 }, { op: 'gather' }]);
  });

  test('norms of rows that are moved otherwise are refused', async () => {
    // As many heads as tokens, so that the shapes fit.
    const square = { ...initializers, split: ints([1, TOKENS, TOKENS, CHANNELS / TOKENS]) };
    const nodes = chain(...heads, ['Max', ['n', 'eps'], 'c'], ['Div', ['t', 'c'], 'y']);
    await expect(importModel(writeModel(withStem({ nodes, initializers: square })))).rejects.toThrow(
      UnsupportedModelError,
    );
  });

  test.each(Object.entries(variants))('%s', async (_, steps) => {
    const { nodes } = await importAndCompare({
      nodes: chain(...steps),
      initializers: { ...initializers, axes: ints([-1]) },
    });
    expect(nodes).toMatchObject([{ op: 'l2Norm', cols: CHANNELS, epsilon: expect.closeTo(1e-6, 10) }]);
  });
});
