import { describe, expect, test } from 'vitest';
import { floats, ints, random, type NodeSpec } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, TOKENS } from './stem.js';

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

describe('a LayerNorm as other libraries write it', () => {
  const n = floats([], [CHANNELS]);
  const more = {
    ...initializers,
    one: floats([], [1]),
    zero: floats([], [0]),
    n,
    less: floats([], [CHANNELS - 1]),
    tiny: floats([], [1e-6]),
    minus: floats([], [-1]),
    tokens: ints([1, -1, 1]),
  };
  const moments = `
    m = ReduceMean(x; axes=[-1], keepdims=1)
    d = Sub(x, m)
    p = Mul(d, d)
    v = ReduceMean(p; axes=[-1], keepdims=1)
    e = Add(v, eps)
    s = Sqrt(e)
  `;
  test.each([
    [
      'TensorFlow: the mean is taken off after the product',
      `${moments}
      r = Reciprocal(s)
      i = Mul(r, norm.weight)
      a = Mul(x, i)
      b = Mul(m, i)
      c = Sub(norm.bias, b)
      y = Add(a, c)`,
    ],
    [
      'TensorFlow: negative, factors swapped',
      `${moments}
      r = Div(one, s)
      i = Mul(norm.weight, r)
      a = Mul(i, x)
      b = Mul(i, m)
      c = Neg(b)
      f = Add(c, norm.bias)
      y = Add(f, a)`,
    ],
    [
      'Flax: sums over n, the difference of means, never negative',
      `
      sx = ReduceSum(x, axes; keepdims=0)
      mx = Div(sx, n)
      x2 = Mul(x, x)
      s2 = ReduceSum(x2, axes; keepdims=0)
      m2 = Div(s2, n)
      mm = Mul(mx, mx)
      v0 = Sub(m2, mm)
      v1 = Max(zero, v0)
      m = Reshape(mx, tokens)
      v = Reshape(v1, tokens)
      d = Sub(x, m)
      e = Add(v, eps)
      s = Sqrt(e)
      r = Div(one, s)
      i = Mul(r, norm.weight)
      g = Mul(d, i)
      y = Add(g, norm.bias)`,
    ],
    [
      'an unbiased deviation, with ε beside it',
      `
      m = ReduceMean(x; axes=[-1], keepdims=1)
      d = Sub(x, m)
      p = Mul(d, d)
      q = ReduceSum(p, axes; keepdims=1)
      v = Div(q, less)
      s = Sqrt(v)
      e = Add(s, tiny)
      w = Mul(norm.weight, d)
      g = Div(w, e)
      y = Add(g, norm.bias)`,
    ],
    [
      'MeanVarianceNormalization',
      `
      n0 = MeanVarianceNormalization(x; axes=[2])
      g = Mul(n0, norm.weight)
      y = Add(g, norm.bias)`,
    ],
  ])('%s', async (_, steps) => {
    const { nodes } = await importAndCompare({ nodes: nodesOf(steps), initializers: more });
    expect(nodes.map((node) => node.op)).toEqual(['layerNorm']);
  });

  test.each([
    ['a mean of something else', 'm = ReduceMean(other; axes=[-1], keepdims=1)'],
    ['a mean along the tokens', 'm = ReduceMean(x; axes=[1], keepdims=1)'],
  ])('%s is no LayerNorm', async (_, mean) => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        other = Tanh(x)
        ${moments.replace(/m = Red.*/, mean)}
        r = Reciprocal(s)
        a = Mul(x, r)
        b = Mul(m, r)
        y = Sub(a, b)
      `),
      initializers: more,
    });
    expect(nodes.map((node) => node.op)).not.toContain('layerNorm');
  });

  test('Keras: BatchNormalization of tokens as channels, in training mode', async () => {
    const { nodes } = await importAndCompare(
      {
        nodes: nodesOf(
          `
        t = Reshape(x, planes)
        k, k1, k2 = BatchNormalization(t, ones, zeros, zeros, ones; epsilon=1.001e-3f, training_mode=1)
        n0 = Reshape(k, plain)
        g = Mul(n0, norm.weight)
        y = Add(g, norm.bias)
      `,
        ),
        initializers: {
          ...more,
          planes: ints([1, TOKENS, CHANNELS, 1]),
          plain: ints([1, TOKENS, CHANNELS]),
          ones: floats([TOKENS], new Float32Array(TOKENS).fill(1)),
          zeros: floats([TOKENS], new Float32Array(TOKENS)),
        },
      },
      // ONNX Runtime's optimizers take it for one that does not train.
      { skipRuntime: true },
    );
    expect(nodes).toMatchObject([{ op: 'layerNorm', cols: CHANNELS, epsilon: expect.closeTo(1.001e-3, 8) }]);
  });
});
