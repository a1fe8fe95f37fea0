import { describe, expect, test } from 'vitest';
import { floats, ints } from '../../onnx/build.js';
import { chain, CHANNELS, importAndCompare, TOKENS, type Step } from './stem.js';

const initializers = { eps: floats([], [1e-6]), shape: ints([1, TOKENS, CHANNELS]), two: floats([], [2]) };
const axes = { axes: [-1], keepdims: 1 };

const variants: Record<string, readonly Step[]> = {
  'ReduceL2, Clip, Expand, Div': [['ReduceL2', ['x'], 'n', axes], ['Clip', ['n', 'eps'], 'c'], ['Expand', ['c', 'shape'], 'e'], ['Div', ['x', 'e'], 'y']],
  'ReduceL2, Max, Div': [['ReduceL2', ['x'], 'n', axes], ['Max', ['n', 'eps'], 'c'], ['Div', ['x', 'c'], 'y']],
  'root of a sum of squares': [['Pow', ['x', 'two'], 'p'], ['ReduceSum', ['p', 'axes'], 's'], ['Sqrt', ['s'], 'n'], ['Max', ['eps', 'n'], 'c'], ['Div', ['x', 'c'], 'y']],
};

describe('L2 norm', () => {
  test.each(Object.entries(variants))('%s', async (_, steps) => {
    const { nodes } = await importAndCompare({ nodes: chain(...steps), initializers: { ...initializers, axes: ints([-1]) } });
    expect(nodes).toMatchObject([{ op: 'l2Norm', cols: CHANNELS, epsilon: expect.closeTo(1e-6, 10) }]);
  });
});
