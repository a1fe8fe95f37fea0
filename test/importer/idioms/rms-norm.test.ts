import { describe, expect, test } from 'vitest';
import { floats, ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare } from './stem.js';

const initializers = {
  gamma: random([CHANNELS], 5),
  eps: floats([], [1e-5]),
  two: floats([], [2]),
  one: floats([], [1]),
  negative: floats([], [-0.5]),
  last: ints([-1]),
};
const mean = `
  p = Pow(x, two)
  m = ReduceMean(p; axes=[-1], keepdims=1)
  e = Add(m, eps)
`;

describe('RMSNorm', () => {
  test.each([
    ['1/√, then the product', `${mean}\nr = Sqrt(e)\ni = Div(one, r)\nn = Mul(x, i)\ny = Mul(n, gamma)`],
    ['the quotient', `${mean}\nr = Sqrt(e)\nn = Div(x, r)\ny = Mul(gamma, n)`],
    ['a negative power', `${mean}\ni = Pow(e, negative)\nn = Mul(x, i)\ny = Mul(n, gamma)`],
  ])('%s', async (_, steps) => {
    const { nodes } = await importAndCompare({ nodes: nodesOf(steps), initializers });
    expect(nodes).toMatchObject([{ op: 'layerNorm', center: false, epsilon: expect.closeTo(1e-5, 8) }]);
  });

  test('as an operator of ONNX Runtime', async () => {
    const { nodes } = await importAndCompare(
      {
        nodes: nodesOf('y = com.microsoft.SimplifiedLayerNormalization(x, gamma; axis=-1, epsilon=0.00001f)'),
        initializers,
      },
      { skipRuntime: true },
    );
    expect(nodes).toMatchObject([{ op: 'layerNorm', center: false }]);
  });

  test('along tokens', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        p = Mul(x, x)
        m = ReduceMean(p; axes=[1], keepdims=1)
        e = Add(m, eps)
        r = Sqrt(e)
        y = Div(x, r)
      `),
      initializers,
    });
    expect(nodes.map(({ op }) => op)).toEqual(['gather', 'layerNorm', 'gather']);
  });
});
