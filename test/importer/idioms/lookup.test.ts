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
