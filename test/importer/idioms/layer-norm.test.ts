import { describe, expect, test } from 'vitest';
import { floats, ints, random, type NodeSpec } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare } from './stem.js';

const initializers = {
  'norm.weight': random([CHANNELS], 5),
  'norm.bias': random([CHANNELS], 6),
  eps: floats([], [1e-5]),
  two: floats([], [2]),
  half: floats([], [0.5]),
  axes: ints([-1]),
};
const scaled = `
  g = Mul(n, norm.weight)
  y = Add(g, norm.bias)
`;

const variants: Record<string, [steps: readonly NodeSpec[], opset?: number]> = {
  LayerNormalization: [nodesOf('y = LayerNormalization(x, norm.weight, norm.bias; axis=-1, epsilon=1e-5f)')],
  'from means, Pow and Div (opset 11)': [
    nodesOf(`
      m = ReduceMean(x; axes=[-1], keepdims=1)
      d = Sub(x, m)
      p = Pow(d, two)
      v = ReduceMean(p; axes=[-1], keepdims=1)
      e = Add(v, eps)
      s = Sqrt(e)
      n = Div(d, s)
      ${scaled}
    `),
    11,
  ],
  'axes as an input, square by Mul, reciprocal (opset 18)': [
    nodesOf(`
      m = ReduceMean(x, axes)
      d = Sub(x, m)
      p = Mul(d, d)
      v = ReduceMean(p, axes)
      e = Add(eps, v)
      s = Sqrt(e)
      r = Reciprocal(s)
      n = Mul(r, d)
      ${scaled}
    `),
    18,
  ],
  'the difference computed twice, root by Pow': [
    nodesOf(`
      m = ReduceMean(x; axes=[-1], keepdims=1)
      d = Sub(x, m)
      d2 = Sub(x, m)
      p = Mul(d2, d2)
      v = ReduceMean(p; axes=[-1], keepdims=1)
      e = Add(v, eps)
      s = Pow(e, half)
      n = Div(d, s)
      ${scaled}
    `),
  ],
};

describe('LayerNorm', () => {
  test.each(Object.entries(variants))('%s', async (_, [steps, opset]) => {
    const { nodes } = await importAndCompare({ nodes: steps, initializers, opset });
    expect(nodes).toMatchObject([{ op: 'layerNorm', name: 'norm', cols: CHANNELS, epsilon: expect.closeTo(1e-5, 10) }]);
  });

  test('ONNX Runtime’s SkipLayerNormalization gives the sum too', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        ...nodesOf('r = Relu(x)'),
        {
          op: 'SkipLayerNormalization',
          domain: 'com.microsoft',
          in: ['x', 'r', 'norm.weight', 'norm.bias'],
          out: ['n', '', '', 'sum'],
          attributes: { epsilon: { float: 1e-5 } },
        },
        ...nodesOf('y = Add(n, sum)'),
      ],
      initializers,
    });
    expect(nodes.map((node) => node.op)).toEqual(['activation', 'add', 'layerNorm', 'add']);
  });

  test('SkipLayerNormalization’s bias folds into the linear layer before it', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        ...nodesOf('m = MatMul(x, w)'),
        {
          op: 'SkipLayerNormalization',
          domain: 'com.microsoft',
          in: ['m', 'x', 'norm.weight', 'norm.bias', 'bias'],
          out: ['n', '', '', 'sum'],
        },
        ...nodesOf('y = Add(n, sum)'),
      ],
      initializers: { ...initializers, w: random([CHANNELS, CHANNELS], 7), bias: random([CHANNELS], 8) },
    });
    expect(nodes.map((node) => node.op)).toEqual(['linear', 'add', 'layerNorm', 'add']);
  });

  test('over rows in another order stays a norm of the rows as they lie', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        t = Gather(x, order; axis=1)
        y = LayerNormalization(t, norm.weight, norm.bias; axis=-1)
      `),
      initializers: { ...initializers, order: ints([2, 0, 3, 1]) },
    });
    expect(nodes.map((node) => node.op)).toEqual(['layerNorm', 'gather']);
  });
});
