import { describe, expect, test } from 'vitest';
import { ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf, TOKENS } from './stem.js';

const initializers = {
  split: ints([CHANNELS / 2, CHANNELS / 2]),
  one: ints([1]),
  two: ints([2]),
  'pairs.shape': ints([1, TOKENS / 2, 2, CHANNELS]),
  'x.shape': ints([1, TOKENS, CHANNELS]),
  'gate.weight': random([CHANNELS, CHANNELS], 7),
};

describe('products of activations', () => {
  test('the halves of one layer multiply without a copy of it', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        h = MatMul(x, gate.weight)
        a, b = Split(h, split; axis=2)
        s = Sigmoid(a)
        g = Mul(a, s)
        y = Mul(g, b)
      `),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['linear', 'activation', 'linear', 'multiply']);
  });

  test('a gate of channels is not spread over the tokens', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        m = ReduceMean(x; axes=[1], keepdims=1)
        s = Sigmoid(m)
        y = Mul(x, s)
      `),
      initializers,
    });
    expect(nodes.at(-1)).toMatchObject({ op: 'multiply', rows: TOKENS, cols: CHANNELS, bRows: 1, bCols: CHANNELS });
    expect(opsOf(nodes)).toEqual(['meanRows', 'lookup', 'multiply']);
  });

  test('a gate of tokens is not spread over the channels', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        m = ReduceMean(x; axes=[2], keepdims=1)
        s = Sigmoid(m)
        y = Mul(s, x)
      `),
      initializers,
    });
    expect(nodes.at(-1)).toMatchObject({ op: 'multiply', bRows: TOKENS, bCols: 1 });
  });

  test('a gate of each group of tokens serves the group', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        p = Reshape(x, pairs.shape)
        m = ReduceMean(p; axes=[2], keepdims=1)
        s = Sigmoid(m)
        g = Mul(p, s)
        y = Reshape(g, x.shape)
      `),
      initializers,
    });
    expect(nodes.at(-1)).toMatchObject({ op: 'multiply', bRows: TOKENS / 2, bCols: CHANNELS });
  });

  test('squares', async () => {
    const { nodes } = await importAndCompare({ nodes: nodesOf('y = Mul(x, x)'), initializers });
    expect(nodes).toMatchObject([{ op: 'multiply' }]);
    const [node] = nodes;
    expect(node.op === 'multiply' && node.a === node.b).toBe(true);
  });

  test('quotients, the divisor spread or not', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        e = Exp(x)
        t = ReduceSum(e, two; keepdims=1)
        q = Div(x, t)
        y = Div(q, e)
      `),
      initializers,
    });
    expect(nodes.filter(({ op }) => op === 'divide')).toMatchObject([{ bCols: 1 }, { bCols: CHANNELS }]);
  });
});
