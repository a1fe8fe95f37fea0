import { describe, expect, test } from 'vitest';
import type { AttentionNode, GraphNode } from '../../../src/importer/index.js';
import { floats, ints, noise, random, type NodeSpec } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf, TOKENS } from './stem.js';

const HEADS = 2;
const DIM = CHANNELS / HEADS;

const initializers = {
  'qkv.weight': random([CHANNELS, 3 * CHANNELS], 5),
  'qkv.bias': random([3 * CHANNELS], 6),
  'q.weight': random([CHANNELS, CHANNELS], 7),
  'k.weight': random([CHANNELS, CHANNELS], 8),
  'v.weight': random([CHANNELS, CHANNELS], 9),
  scale: floats([], [0.3]),
  root: floats([], [Math.sqrt(0.3)]),
  'scale.heads': floats([HEADS, 1, 1], [0.3, 0.7]),
  'split.heads': ints([1, TOKENS, HEADS, DIM]),
  'split.qkv': ints([1, TOKENS, 3, HEADS, DIM]),
  merged: ints([1, TOKENS, CHANNELS]),
  'bias.heads': random([1, HEADS, TOKENS, TOKENS], 10),
  zero: ints([0], []),
  one: ints([1], []),
  two: ints([2], []),
};

const qkv = nodesOf(`
  m = MatMul(x, qkv.weight)
  a = Add(m, qkv.bias)
  r = Reshape(a, split.qkv)
  t = Transpose(r; perm=[2, 0, 3, 1, 4])
  q = Gather(t, zero; axis=0)
  k = Gather(t, one; axis=0)
  v = Gather(t, two; axis=0)
`);
const kT = nodesOf('kT = Transpose(k; perm=[0, 1, 3, 2])');
const merge = nodesOf(`
  ot = Transpose(o; perm=[0, 2, 1, 3])
  y = Reshape(ot, merged)
`);

const attentionOf = (nodes: readonly GraphNode[]): AttentionNode => nodes.find((node) => node.op === 'attention')!;

const variants: Record<string, readonly NodeSpec[]> = {
  'scale after the product': [
    ...kT,
    ...nodesOf(`
      s = MatMul(q, kT)
      ss = Mul(s, scale)
      p = Softmax(ss; axis=-1)
      o = MatMul(p, v)
    `),
  ],
  'scale on the queries': [
    ...kT,
    ...nodesOf(`
      qs = Mul(q, scale)
      s = MatMul(qs, kT)
      p = Softmax(s; axis=-1)
      o = MatMul(p, v)
    `),
  ],
  'its root on both operands': [
    ...kT,
    ...nodesOf(`
      qs = Mul(q, root)
      ks = Mul(kT, root)
      s = MatMul(qs, ks)
      p = Softmax(s; axis=-1)
      o = MatMul(p, v)
    `),
  ],
  'Keras: keys before queries, by Einsum': nodesOf(`
    s = Einsum(k, q; equation="bhke,bhqe->bhkq")
    ss = Mul(s, scale)
    st = Transpose(ss; perm=[0, 1, 3, 2])
    p = Softmax(st; axis=-1)
    o = Einsum(p, v; equation="bhqk,bhkd->bhqd")
  `),
  'JAX: the transpose of the values times that of the softmax': [
    ...kT,
    ...nodesOf(`
      s = MatMul(q, kT)
      ss = Mul(s, scale)
      p = Softmax(ss; axis=-1)
      vT = Transpose(v; perm=[0, 1, 3, 2])
      pT = Transpose(p; perm=[0, 1, 3, 2])
      oT = MatMul(vT, pT)
      o = Transpose(oT; perm=[0, 1, 3, 2])
    `),
  ],
  'JAX: a softmax from −∞ on': [
    ...kT,
    ...nodesOf(`
      s = MatMul(q, kT)
      ss = Mul(s, scale)
      top = ReduceMax(ss; axes=[3], keepdims=1)
      m0 = Max(top, lowest)
      d = Sub(ss, m0)
      e = Exp(d)
      sum = ReduceSum(e, last; keepdims=1)
      p = Div(e, sum)
      o = MatMul(p, v)
    `),
  ],
  'the exponential of LogSoftmax': [
    ...kT,
    ...nodesOf(`
      s = MatMul(q, kT)
      ss = Mul(s, scale)
      l = LogSoftmax(ss; axis=-1)
      p = Exp(l)
      o = MatMul(p, v)
    `),
  ],
  division: [
    ...kT,
    ...nodesOf(`
      s = MatMul(q, kT)
      ss = Div(s, inverse)
      p = Softmax(ss; axis=-1)
      o = MatMul(p, v)
    `),
  ],
};

describe('attention from products', () => {
  test.each(Object.entries(variants))('%s', async (_, nodes) => {
    const result = await importAndCompare({
      nodes: [...qkv, ...nodes, ...merge],
      initializers: {
        ...initializers,
        inverse: floats([], [1 / 0.3]),
        lowest: floats([], [-Infinity]),
        last: ints([3]),
      },
    });
    expect(opsOf(result.nodes)).toEqual(['linear', 'attention']);
    const attention = attentionOf(result.nodes);
    expect(attention).toMatchObject({ batch: 1, heads: HEADS, queries: TOKENS, keys: TOKENS, dim: DIM, bias: null });
    attention.scale.forEach((scale) => expect(scale).toBeCloseTo(0.3, 6));
    expect(
      [attention.q, attention.k, attention.v].map(({ rows, offset, headStride, stride }) => ({
        rows,
        offset,
        headStride,
        stride,
      })),
    ).toEqual(
      [0, CHANNELS, 2 * CHANNELS].map((offset) => ({ rows: null, offset, headStride: DIM, stride: 3 * CHANNELS })),
    );
  });

  test('a bias, and scales per head', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        ...qkv,
        ...kT,
        ...nodesOf(`
          s = MatMul(q, kT)
          ss = Mul(s, scale.heads)
          b = Add(ss, bias.heads)
          p = Softmax(b; axis=-1)
          o = MatMul(p, v)
        `),
        ...merge,
      ],
      initializers,
    });
    const attention = attentionOf(nodes);
    expect(Array.from(attention.scale)).toEqual([expect.closeTo(0.3), expect.closeTo(0.7)]);
    expect(attention).toMatchObject({ biasBatch: 1, biasHeads: HEADS });
    expect(attention.bias).toEqual(noise(HEADS * TOKENS * TOKENS, 10));
  });

  test('separate projections, heads in three-dimensional products', async () => {
    const shape = ints([HEADS, TOKENS, DIM]);
    const project = (name: string): NodeSpec[] =>
      nodesOf(`
        ${name}m = MatMul(x, ${name}.weight)
        ${name}r = Reshape(${name}m, split.heads)
        ${name}t = Transpose(${name}r; perm=[0, 2, 1, 3])
        ${name} = Reshape(${name}t, perHead)
      `);
    const { nodes } = await importAndCompare({
      nodes: [
        ...['q', 'k', 'v'].flatMap(project),
        ...nodesOf(`
          kT = Transpose(k; perm=[0, 2, 1])
          s = MatMul(q, kT)
          p = Softmax(s; axis=-1)
          of = MatMul(p, v)
          o = Reshape(of, unflat)
        `),
        ...merge,
      ],
      initializers: { ...initializers, perHead: shape, unflat: ints([1, HEADS, TOKENS, DIM]) },
    });
    expect(opsOf(nodes)).toEqual(['linear', 'linear', 'linear', 'attention']);
    expect(attentionOf(nodes)).toMatchObject({ batch: 1, heads: HEADS });
  });

  test('channels of a head apart from each other: the layer’s weights are moved, not its output', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        ...['q', 'k', 'v'].flatMap((name) =>
          nodesOf(`
            ${name}m = MatMul(x, ${name}.weight)
            ${name}r = Reshape(${name}m, interleaved)
            ${name} = Transpose(${name}r; perm=[0, 3, 1, 2])
          `),
        ),
        ...kT,
        ...nodesOf(`
          s = MatMul(q, kT)
          p = Softmax(s; axis=-1)
          o = MatMul(p, v)
        `),
        ...merge,
      ],
      initializers: { ...initializers, interleaved: ints([1, TOKENS, DIM, HEADS]) },
    });
    expect(opsOf(nodes)).toEqual(['linear', 'linear', 'linear', 'attention']);
  });

  test('windows with a mask added through reshapes', async () => {
    const masks = Float32Array.from(noise(2 * 2 * 2, 12), (value) => (value > 0 ? 0 : -100));
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        m = MatMul(x, qkv.weight)
        w = Reshape(m, windows)
        t = Transpose(w; perm=[3, 1, 2, 0, 4])
        g = Reshape(t, grouped)
        q = Gather(g, zero; axis=0)
        k = Gather(g, one; axis=0)
        v = Gather(g, two; axis=0)
        kT = Transpose(k; perm=[0, 1, 3, 2])
        s = MatMul(q, kT)
        sw = Reshape(s, perWindow)
        sm = Add(sw, mask)
        sf = Reshape(sm, flatWindow)
        p = Softmax(sf; axis=-1)
        o = MatMul(p, v)
        ot = Transpose(o; perm=[0, 2, 1, 3])
        ou = Reshape(ot, unwindow)
        ov = Transpose(ou; perm=[1, 0, 2])
        y = Reshape(ov, merged)
      `),
      initializers: {
        ...initializers,
        windows: ints([2, 2, 1, 3, CHANNELS]),
        grouped: ints([3, 2, 1, 2, CHANNELS]),
        ...windowed(),
        mask: floats([1, 2, 1, 2, 2], masks),
      },
    });
    const attention = attentionOf(nodes);
    expect(attention).toMatchObject({ batch: 2, heads: 1, queries: 2, keys: 2, biasBatch: 2, biasHeads: 1 });
    expect(attention.q.rows).toEqual(Int32Array.of(0, 2, 1, 3));
    expect(attention.bias).toEqual(masks);
  });

  test.each([
    ['largest', 'ReduceMax', 1],
    ['largest', 'ReduceMax', HEADS],
    ['mean', 'ReduceMean', 1],
    ['mean', 'ReduceMean', HEADS],
  ])('queries that are the %s of some lie in the columns of their heads (%s, %i)', async (_, op, heads) => {
    const dim = CHANNELS / heads;
    const { graph, nodes } = await importAndCompare({
      nodes: [
        ...qkv,
        ...nodesOf(`
          g = Reshape(q, halves)
          few = ${op}(g; axes=[2], keepdims=0)
          kT = Transpose(k; perm=[0, 1, 3, 2])
          s = MatMul(few, kT)
          p = Softmax(s; axis=-1)
          o = MatMul(p, v)
          ot = Transpose(o; perm=[0, 2, 1, 3])
          y = Reshape(ot, merged.few)
        `),
      ],
      initializers: {
        ...initializers,
        'split.qkv': ints([1, TOKENS, 3, heads, dim]),
        halves: ints([1, heads, 2, TOKENS / 2, dim]),
        'merged.few': ints([1, TOKENS / 2, CHANNELS]),
      },
    });
    const { q, k, v } = attentionOf(nodes);
    const columnsOf = (id: string): number => graph.nodes.find((node) => node.id === id)!.cols;
    for (const { stride, source } of [q, k, v]) expect(stride % columnsOf(source)).toBe(0);
    if (op === 'ReduceMax') expect(opsOf(nodes)).toEqual(['linear', 'linear', 'linear', 'maxPool', 'attention']);
  });

  test('windows inside of heads are read where they lie, with what each head adds', async () => {
    const [windows, tokens] = [2, TOKENS / 2];
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        m = MatMul(x, qkv.weight)
        w = Reshape(m, windows)
        t = Transpose(w; perm=[3, 0, 4, 2, 1, 5])
        q = Gather(t, zero; axis=0)
        k = Gather(t, one; axis=0)
        v = Gather(t, two; axis=0)
        kT = Transpose(k; perm=[0, 1, 2, 4, 3])
        s = MatMul(q, kT)
        ss = Mul(s, scale.heads)
        b = Add(ss, bias)
        p = Softmax(b; axis=-1)
        o = MatMul(p, v)
        ot = Transpose(o; perm=[0, 3, 2, 1, 4])
        y = Reshape(ot, merged)
      `),
      initializers: {
        ...initializers,
        windows: ints([1, tokens, windows, 3, HEADS, DIM]),
        'scale.heads': floats([HEADS, 1, 1, 1], [0.3, 0.7]),
        bias: random([1, HEADS, windows, tokens, tokens], 14),
      },
    });
    expect(opsOf(nodes)).toEqual(['linear', 'attention', 'gather']);
    expect(attentionOf(nodes)).toMatchObject({ batch: windows, heads: HEADS, biasBatch: windows, biasHeads: HEADS });
  });

  test('a causal-looking boolean mask by Where', async () => {
    const keep = {
      dims: [1, 1, TOKENS, TOKENS],
      dataType: 9,
      rawData: Uint8Array.from({ length: TOKENS ** 2 }, (_, i) => Number(i % TOKENS <= i / TOKENS)),
    };
    const { nodes } = await importAndCompare({
      nodes: [
        ...qkv,
        ...kT,
        ...nodesOf(`
          s = MatMul(q, kT)
          w = Where(keep, s, never)
          p = Softmax(w; axis=-1)
          o = MatMul(p, v)
        `),
        ...merge,
      ],
      initializers: { ...initializers, keep, never: floats([], [-Infinity]) },
    });
    expect(attentionOf(nodes).bias![1]).toBe(-1e9);
  });
});

/** Shapes of the windowed test above. */
function windowed(): Record<string, ReturnType<typeof ints>> {
  return { perWindow: ints([1, 2, 1, 2, 2]), flatWindow: ints([2, 1, 2, 2]), unwindow: ints([2, 2, CHANNELS]) };
}
