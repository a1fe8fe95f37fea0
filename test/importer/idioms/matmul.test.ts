import { describe, expect, test } from 'vitest';
import { ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf, TOKENS } from './stem.js';

const initializers = {
  heads: ints([1, TOKENS, 2, CHANNELS / 2]),
  'x.shape': ints([1, TOKENS, CHANNELS]),
  mix: random([2, 2], 5),
};

/** Scores of two heads, [1, 2, TOKENS, TOKENS], as `s`; the values as `v`. */
const scores = `
  h = Reshape(x, heads)
  q = Transpose(h; perm=[0, 2, 1, 3])
  k = Transpose(h; perm=[0, 2, 3, 1])
  v = Identity(q)
  s = MatMul(q, k)
`;
const merged = `
  u = Transpose(o; perm=[0, 2, 1, 3])
  y = Reshape(u, x.shape)
`;

describe('products of two activations', () => {
  test('read their operands in place', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        ${scores}
        r = Relu(s)
        y = ReduceMean(r; axes=[1], keepdims=0)
      `),
      initializers,
    });
    expect(nodes[0]).toMatchObject({ op: 'matmul', heads: 2, m: TOKENS, n: TOKENS, dim: CHANNELS / 2 });
  });

  test('scores that depend on the image in more than one way', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        ${scores}
        b = ReduceMean(x; axes=[2], keepdims=1)
        t = Add(s, b)
        p = Softmax(t)
        o = MatMul(p, v)
        ${merged}
      `),
      initializers,
    });
    expect(opsOf(nodes).filter((op) => op === 'matmul')).toHaveLength(2);
    expect(opsOf(nodes)).toContain('softmax');
  });

  test('products with products of all tokens, as linear attention has them, read these where they lie', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        ${scores}
        c = MatMul(k, v)
        o = MatMul(q, c)
        ${merged}
      `),
      initializers,
    });
    const [first, second] = nodes.filter((node) => node.op === 'matmul');
    expect(second.b).toMatchObject({ source: first.id, transposed: true });
    expect(opsOf(nodes).slice(-2)).toEqual(['matmul', 'matmul']);
  });

  test('but not where their rows have been moved', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        ${scores}
        c = MatMul(k, v)
        t = Gather(c, rolled; axis=2)
        o = MatMul(q, t)
        ${merged}
      `),
      initializers: {
        ...initializers,
        rolled: ints([1, 0, ...Array.from({ length: CHANNELS / 2 - 2 }, (_, i) => i + 2)]),
      },
    });
    const second = nodes.findLast((node) => node.op === 'matmul')!;
    expect(second.b.transposed).toBeUndefined();
    expect(opsOf(nodes)).toContain('gather');
  });

  test('heads that are mixed before the softmax', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        ${scores}
        a = Transpose(s; perm=[0, 2, 3, 1])
        m = MatMul(a, mix)
        b = Transpose(m; perm=[0, 3, 1, 2])
        p = Softmax(b)
        o = MatMul(p, v)
        ${merged}
      `),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(expect.arrayContaining(['matmul', 'linear', 'softmax']));
  });

  test('a softmax over channels: linear attention', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        t = Transpose(x; perm=[0, 2, 1])
        p = Softmax(t)
        c = MatMul(p, x)
        y = MatMul(x, c)
      `),
      initializers,
    });
    expect(opsOf(nodes)).toContain('matmul');
  });
});
