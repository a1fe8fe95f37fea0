import { describe, expect, test } from 'vitest';
import { floats, random, type NodeSpec } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf, type Tail } from './stem.js';

const scalars = (values: Record<string, number>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, floats([], [value])]));

const constants = scalars({
  half: 0.5,
  one: 1,
  two: 2,
  three: 3,
  root2: Math.SQRT2,
  rsqrt2: Math.SQRT1_2,
  c: 0.044715,
  s: Math.sqrt(2 / Math.PI),
  q: 1.702,
  zero: 0,
  six: 6,
});

const variants: Record<string, [kind: string, steps: readonly NodeSpec[], opset?: number]> = {
  'GELU, x·(1 + erf)·½': [
    'gelu',
    nodesOf(`
      a = Div(x, root2)
      b = Erf(a)
      c1 = Add(b, one)
      d = Mul(x, c1)
      y = Mul(d, half)
    `),
  ],
  'GELU, ½·(erf + 1)·x': [
    'gelu',
    nodesOf(`
      a = Mul(x, rsqrt2)
      b = Erf(a)
      c1 = Add(one, b)
      d = Mul(half, c1)
      y = Mul(d, x)
    `),
  ],
  'GELU, ½x + ½x·erf': [
    'gelu',
    nodesOf(`
      h = Mul(x, half)
      a = Mul(x, rsqrt2)
      b = Erf(a)
      d = Mul(h, b)
      y = Add(h, d)
    `),
  ],
  'GELU operator': ['gelu', nodesOf('y = Gelu(x)'), 20],
  'GELU operator, tanh': ['geluTanh', nodesOf('y = Gelu(x; approximate="tanh")'), 20],
  'tanh GELU, cube by Pow': [
    'geluTanh',
    nodesOf(`
      p = Pow(x, three)
      k = Mul(p, c)
      i = Add(x, k)
      j = Mul(i, s)
      t = Tanh(j)
      u = Add(t, one)
      h = Mul(x, half)
      y = Mul(h, u)
    `),
  ],
  'tanh GELU, cube by products': [
    'geluTanh',
    nodesOf(`
      xx = Mul(x, x)
      p = Mul(xx, x)
      k = Mul(c, p)
      i = Add(k, x)
      j = Mul(s, i)
      t = Tanh(j)
      u = Add(one, t)
      v = Mul(u, x)
      y = Mul(half, v)
    `),
  ],
  'tanh GELU, x(1 + c·x²)': [
    'geluTanh',
    nodesOf(`
      xx = Mul(x, x)
      k = Mul(c, xx)
      i = Add(one, k)
      i2 = Mul(x, i)
      j = Mul(s, i2)
      t = Tanh(j)
      u = Add(one, t)
      v = Mul(u, x)
      y = Div(v, two)
    `),
  ],
  'quick GELU': [
    'quickGelu',
    nodesOf(`
      a = Mul(x, q)
      b = Sigmoid(a)
      y = Mul(x, b)
    `),
  ],
  SiLU: [
    'silu',
    nodesOf(`
      b = Sigmoid(x)
      y = Mul(b, x)
    `),
  ],
  ReLU: ['relu', nodesOf('y = Relu(x)')],
  'hard-swish operator': ['hardSwish', nodesOf('y = HardSwish(x)')],
  'hard-swish, x·HardSigmoid(x)': [
    'hardSwish',
    nodesOf(`
      a = HardSigmoid(x; alpha=${1 / 6}f, beta=0.5f)
      y = Mul(a, x)
    `),
  ],
  'hard-swish, x·clip(x + 3, 0, 6)/6': [
    'hardSwish',
    nodesOf(`
      a = Add(x, three)
      b = Clip(a, zero, six)
      c1 = Mul(x, b)
      y = Div(c1, six)
    `),
  ],
  'ReLU as a maximum': ['relu', nodesOf('y = Max(x, zero)')],
};

describe('activations', () => {
  test.each(Object.entries(variants))('%s', async (_, [kind, steps, opset]) => {
    const { nodes } = await importAndCompare({ nodes: steps, initializers: constants, opset });
    expect(nodes).toMatchObject([{ op: 'activation', kind }]);
  });

  test.each([
    ['Gelu', 'gelu', []],
    ['BiasGelu', 'gelu', ['bias']],
    ['FastGelu', 'geluTanh', ['bias']],
    ['QuickGelu', 'quickGelu', []],
  ])('ONNX Runtime’s %s', async (op, kind, more) => {
    const tail: Tail = {
      nodes: [{ op, domain: 'com.microsoft', in: ['x', ...more], out: ['y'] }],
      initializers: { bias: random([CHANNELS], 5) },
    };
    const { nodes } = await importAndCompare(tail);
    // The bias folds into the patch embedding.
    expect(nodes).toMatchObject([{ op: 'activation', kind }]);
  });

  test('a factor after the activation is no part of it', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        r = Relu(x)
        y = Mul(r, half)
      `),
      initializers: constants,
    });
    expect(opsOf(nodes)).toEqual(['activation', 'affine']);
  });

  test('ReLU6 is bounded, and no ReLU', async () => {
    const { nodes } = await importAndCompare({ nodes: nodesOf('y = Clip(x, zero, six)'), initializers: constants });
    expect(opsOf(nodes)).toEqual(['lookup']);
  });
});
