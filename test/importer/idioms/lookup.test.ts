import { describe, expect, test } from 'vitest';
import { floats, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf } from './stem.js';

const initializers = {
  alpha: floats([], [0.7]),
  gamma: random([CHANNELS], 5),
  beta: random([CHANNELS], 6),
  low: floats([], [-0.2]),
  high: floats([], [0.3]),
  one: floats([], [1]),
  third: floats([], [0.2]),
  half: floats([], [0.5]),
  slope: random([CHANNELS], 7),
};

describe('functions of one number', () => {
  test.each([
    ['tanh', 'y = Tanh(x)'],
    ['ELU', 'y = Elu(x; alpha=0.8f)'],
    ['CELU', 'y = Celu(x)'],
    ['leaky ReLU', 'y = LeakyRelu(x)'],
    ['softplus', 'y = Softplus(x)'],
    ['softsign', 'y = Softsign(x)'],
    ['a clip', 'y = Clip(x, low, high)'],
    ['HardSigmoid', 'y = HardSigmoid(x)'],
    ['exponential', 'y = Exp(x)'],
    ['absolute value', 'y = Abs(x)'],
    ['Mish written out', 's = Softplus(x)\nt = Tanh(s)\ny = Mul(x, t)'],
    ['squared ReLU', 'r = Relu(x)\ny = Mul(r, r)'],
    ['arctangent', 'y = Atan(x)'],
    ['sine', 'y = Sin(x)'],
    ['cosine', 'y = Cos(x)'],
    ['hyperbolic sine', 'y = Asinh(x)'],
    ['hard shrinking', 'y = Shrink(x; lambd=0.2f, bias=0.1f)'],
    ['a thresholded ReLU', 'y = ThresholdedRelu(x; alpha=0.2f)'],
    ['leaky ReLU by a choice', 'c = Greater(x, low)\nm = Mul(x, third)\ny = Where(c, x, m)'],
    [
      'a band by two comparisons',
      'a = Less(x, high)\nb = GreaterOrEqual(x, low)\nc = And(a, b)\ny = Where(c, x, half)',
    ],
    ['all but a band', 'a = Greater(x, high)\nb = Less(x, low)\nc = Or(a, b)\nn = Not(c)\ny = Where(n, half, x)'],
    ['a gate by a cast', 'c = Greater(x, low)\nf = Cast(c; to=1)\ny = Mul(x, f)'],
    ['the larger of two functions', 'm = Mul(x, third)\nt = Tanh(x)\ny = Max(m, t)'],
    ['a cube root of 1 + |x|', 'a = Abs(x)\nb = Add(a, one)\ny = Pow(b, third)'],
  ])('%s', async (_, steps) => {
    const { nodes } = await importAndCompare({ nodes: nodesOf(steps), initializers });
    expect(opsOf(nodes)).toEqual(['lookup']);
  });

  test('SELU: a factor follows the table', async () => {
    const { nodes } = await importAndCompare({ nodes: nodesOf('y = Selu(x)'), initializers });
    expect(opsOf(nodes)).toEqual(['lookup', 'affine']);
  });

  test('x + tanh(x) stays a sum', async () => {
    const { nodes } = await importAndCompare({ nodes: nodesOf('t = Tanh(x)\ny = Add(x, t)'), initializers });
    expect(opsOf(nodes)).toEqual(['lookup', 'add']);
  });

  test('dynamic tanh keeps its factors apart', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        a = Mul(x, alpha)
        t = Tanh(a)
        g = Mul(t, gamma)
        y = Add(g, beta)
      `),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['lookup', 'affine']);
  });

  test('PReLU with a slope per channel', async () => {
    const { nodes } = await importAndCompare({ nodes: nodesOf('y = PRelu(x, slope)'), initializers });
    expect(opsOf(nodes)).toEqual(expect.arrayContaining(['activation', 'lookup', 'add']));
  });
});
