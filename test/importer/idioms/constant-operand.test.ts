import { describe, expect, test } from 'vitest';
import { floats, ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf, TOKENS } from './stem.js';

const initializers = {
  'head.weight': random([CHANNELS, 3], 5),
  'token.bias': random([1, TOKENS, CHANNELS], 6),
  'token.scale': random([1, TOKENS, 1], 7),
};

describe('constant operands', () => {
  test('a value per token and channel stays a sum', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        r = Relu(x)
        y = Add(r, token.bias)
      `),
      initializers,
    });
    expect(nodes.map((node) => [node.op, node.name])).toEqual([
      ['activation', 'act'],
      ['addConst', 'token'],
    ]);
  });

  test('a value per token is none per column where these are as many', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        m = MatMul(x, square.weight)
        r = Relu(m)
        y = Add(r, square.bias)
      `),
      initializers: { 'square.weight': random([CHANNELS, TOKENS], 8), 'square.bias': random([TOKENS, 1], 9) },
    });
    expect(opsOf(nodes)).toEqual(['linear', 'activation', 'addConst']);
  });

  test('a factor per token becomes a product', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        r = Relu(x)
        y = Mul(r, token.scale)
      `),
      initializers,
    });
    expect(nodes).toMatchObject([
      { op: 'activation' },
      { op: 'constant' },
      { op: 'multiply', bRows: TOKENS, bCols: 1 },
    ]);
  });

  test('two heads that are averaged become one layer', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        a = Gather(x, first; axis=1)
        b = Gather(x, second; axis=1)
        ha = MatMul(a, head.weight)
        hb = MatMul(b, head.weight)
        s = Add(ha, hb)
        y = Div(s, two)
      `),
      initializers: { ...initializers, first: ints([0], []), second: ints([1], []), two: floats([], [2]) },
    });
    expect(opsOf(nodes)).toEqual(['gather', 'linear']);
  });

  test('a BatchNorm after pooled rows folds into the head', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        ...nodesOf(`
          r = Relu(x)
          t = Transpose(r; perm=[0, 2, 1])
        `),
        { op: 'BatchNormalization', in: ['t', 'g', 'b', 'm', 'v'], out: ['n'] },
        ...nodesOf(`
          u = Transpose(n; perm=[0, 2, 1])
          f = Gather(u, first; axis=1)
          y = MatMul(f, head.weight)
        `),
      ],
      initializers: {
        ...initializers,
        first: ints([0], []),
        g: random([CHANNELS], 20),
        b: random([CHANNELS], 21),
        m: random([CHANNELS], 22),
        v: floats(
          [CHANNELS],
          Array.from({ length: CHANNELS }, (_, i) => 0.5 + i),
        ),
      },
    });
    expect(opsOf(nodes)).toEqual(['activation', 'gather', 'linear']);
  });
});
