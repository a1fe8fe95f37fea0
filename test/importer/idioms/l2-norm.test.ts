import { describe, expect, test } from 'vitest';
import { floats, ints, type NodeSpec } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, TOKENS } from './stem.js';

const initializers = {
  eps: floats([], [1e-6]),
  shape: ints([1, TOKENS, CHANNELS]),
  two: floats([], [2]),
  split: ints([1, TOKENS, 2, CHANNELS / 2]),
};
/** Heads of tokens, x in rows of half its channels, and the heads' rows in another order. */
const heads = `
  h = Reshape(x, split)
  t = Transpose(h; perm=[0, 2, 1, 3])
  n = ReduceL2(h; axes=[-1], keepdims=1)
`;

const variants: Record<string, readonly NodeSpec[]> = {
  'ReduceL2, Clip, Expand, Div': nodesOf(`
    n = ReduceL2(x; axes=[-1], keepdims=1)
    c = Clip(n, eps)
    e = Expand(c, shape)
    y = Div(x, e)
  `),
  'ReduceL2, Max, Div': nodesOf(`
    n = ReduceL2(x; axes=[-1], keepdims=1)
    c = Max(n, eps)
    y = Div(x, c)
  `),
  'root of a sum of squares': nodesOf(`
    p = Pow(x, two)
    s = ReduceSum(p, axes)
    n = Sqrt(s)
    c = Max(eps, n)
    y = Div(x, c)
  `),
};

describe('L2 norm', () => {
  test('norms of rows that are moved alike', async () => {
    const steps = nodesOf(`
      ${heads}
      m = Transpose(n; perm=[0, 2, 1, 3])
      c = Max(m, eps)
      y = Div(t, c)
    `);
    const { nodes } = await importAndCompare({ nodes: steps, initializers });
    expect(nodes).toMatchObject([{ op: 'l2Norm', cols: CHANNELS / 2 }, { op: 'gather' }]);
  });

  test('norms along tokens', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        n = ReduceL2(x; axes=[1], keepdims=1)
        c = Max(n, eps)
        y = Div(x, c)
      `),
      initializers,
    });
    expect(nodes.map(({ op }) => op)).toEqual(['gather', 'l2Norm', 'gather']);
  });

  test('norms of rows that are moved otherwise are quotients', async () => {
    // As many heads as tokens, so that the shapes fit.
    const square = { ...initializers, split: ints([1, TOKENS, TOKENS, CHANNELS / TOKENS]) };
    const nodes = nodesOf(`
      ${heads}
      c = Max(n, eps)
      y = Div(t, c)
    `);
    const result = await importAndCompare({ nodes, initializers: square });
    expect(result.nodes.map(({ op }) => op)).toContain('divide');
  });

  test.each(Object.entries(variants))('%s', async (_, steps) => {
    const { nodes } = await importAndCompare({
      nodes: steps,
      initializers: { ...initializers, axes: ints([-1]) },
    });
    expect(nodes).toMatchObject([{ op: 'l2Norm', cols: CHANNELS, epsilon: expect.closeTo(1e-6, 10) }]);
  });
});
