import { describe, expect, test } from 'vitest';
import { floats, ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf, TOKENS } from './stem.js';

const HALF = CHANNELS / 2;
const initializers = {
  split: ints([HALF, HALF]),
  quarters: ints([HALF / 2, HALF / 2]),
  prefix: ints([1, TOKENS - 1]),
  pairs: ints([1, TOKENS, HALF, 2]),
  heads: ints([1, TOKENS, 2, HALF]),
  'x.shape': ints([1, TOKENS, CHANNELS]),
  one: ints([2]),
  first: ints([0]),
  second: ints([1]),
  end: ints([2]),
  three: ints([3]),
  cos: random([TOKENS, CHANNELS], 5),
  sin: random([TOKENS, CHANNELS], 6),
  cosHead: random([TOKENS, HALF], 7),
  sinHead: random([TOKENS, HALF], 8),
  cosRest: random([TOKENS - 1, CHANNELS], 9),
  sinRest: random([TOKENS - 1, CHANNELS], 10),
  cosPair: random([TOKENS, HALF, 1], 11),
  sinPair: random([TOKENS, HALF, 1], 12),
  minus: floats([], [-1]),
  qkv: random([CHANNELS, 3 * CHANNELS], 13),
  thirds: ints([CHANNELS, CHANNELS, CHANNELS]),
};

/** [−second half, first half] of `of`, as `to`. */
const halves = (of: string, to: string, split = 'split'): string => `
  ${to}a, ${to}b = Split(${of}, ${split}; axis=-1)
  ${to}n = Neg(${to}b)
  ${to} = Concat(${to}n, ${to}a; axis=-1)
`;

describe('rotary position', () => {
  test('by halves', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        ${halves('x', 't')}
        c = Mul(x, cos)
        s = Mul(t, sin)
        y = Add(c, s)
      `),
      initializers,
    });
    expect(nodes).toMatchObject([{ op: 'rotary', column: 0, cols: CHANNELS, tableRows: TOKENS, period: CHANNELS }]);
  });

  test('by pairs, heads apart: the table of one head serves all', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        g = Reshape(x, heads)
        h = Transpose(g; perm=[0, 2, 1, 3])
        ${halves('h', 't', 'quarters')}
        c = Mul(h, cosHead)
        s = Mul(t, sinHead)
        r = Add(s, c)
        u = Transpose(r; perm=[0, 2, 1, 3])
        y = Reshape(u, x.shape)
      `),
      initializers,
    });
    expect(nodes).toMatchObject([{ op: 'rotary', cols: CHANNELS, tableRows: TOKENS, period: HALF }]);
  });

  test('as complex numbers, real and imaginary parts put together again', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        p = Reshape(x, pairs)
        a = Slice(p, first, second, three)
        b = Slice(p, second, end, three)
        ac = Mul(a, cosPair)
        bs = Mul(b, sinPair)
        n = Mul(bs, minus)
        re = Add(ac, n)
        as = Mul(a, sinPair)
        bc = Mul(b, cosPair)
        im = Add(as, bc)
        z = Concat(re, im; axis=-1)
        y = Reshape(z, x.shape)
      `),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['rotary']);
  });

  test('all tokens but the first: the first stands in the same value', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        k, r = Split(x, prefix; axis=1)
        ${halves('r', 't')}
        c = Mul(r, cosRest)
        s = Mul(t, sinRest)
        z = Add(c, s)
        y = Concat(k, z; axis=1)
      `),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['rotary']);
  });

  test('a part of the channels', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        a, b = Split(x, split; axis=-1)
        ${halves('a', 't', 'quarters')}
        c = Mul(a, cosHead)
        s = Mul(t, sinHead)
        z = Add(c, s)
        y = Concat(z, b; axis=-1)
      `),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['rotary']);
  });

  test('of a part of a layer: the layer is cut, not its output', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        h = MatMul(x, qkv)
        q, k, v = Split(h, thirds; axis=-1)
        ${halves('q', 't')}
        c = Mul(q, cos)
        s = Mul(t, sin)
        z = Add(c, s)
        ks = Transpose(k; perm=[0, 2, 1])
        w = MatMul(z, ks)
        p = Softmax(w)
        y = MatMul(p, v)
      `),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['linear', 'linear', 'linear', 'rotary', 'attention']);
  });

  test('tables of different values are two products and a sum', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        r = Relu(x)
        c = Mul(x, cos)
        s = Mul(r, sin)
        y = Add(c, s)
      `),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['activation', 'constant', 'multiply', 'constant', 'multiply', 'add']);
  });
});
