import { describe, expect, test } from 'vitest';
import type { AttentionNode, GraphNode } from '../../../src/importer/index.js';
import { floats, ints, noise, random, type NodeSpec } from '../../onnx/build.js';
import { chain, CHANNELS, importAndCompare, opsOf, TOKENS } from './stem.js';

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

const qkv = chain(
  ['MatMul', ['x', 'qkv.weight'], 'm'],
  ['Add', ['m', 'qkv.bias'], 'a'],
  ['Reshape', ['a', 'split.qkv'], 'r'],
  ['Transpose', ['r'], 't', { perm: [2, 0, 3, 1, 4] }],
  ['Gather', ['t', 'zero'], 'q', { axis: 0 }],
  ['Gather', ['t', 'one'], 'k', { axis: 0 }],
  ['Gather', ['t', 'two'], 'v', { axis: 0 }],
);
const kT = chain(['Transpose', ['k'], 'kT', { perm: [0, 1, 3, 2] }]);
const merge = chain(['Transpose', ['o'], 'ot', { perm: [0, 2, 1, 3] }], ['Reshape', ['ot', 'merged'], 'y']);

const attentionOf = (nodes: readonly GraphNode[]): AttentionNode => nodes.find((node) => node.op === 'attention')!;

const variants: Record<string, readonly NodeSpec[]> = {
  'scale after the product': [
    ...kT,
    ...chain(
      ['MatMul', ['q', 'kT'], 's'],
      ['Mul', ['s', 'scale'], 'ss'],
      ['Softmax', ['ss'], 'p', { axis: -1 }],
      ['MatMul', ['p', 'v'], 'o'],
    ),
  ],
  'scale on the queries': [
    ...kT,
    ...chain(
      ['Mul', ['q', 'scale'], 'qs'],
      ['MatMul', ['qs', 'kT'], 's'],
      ['Softmax', ['s'], 'p', { axis: -1 }],
      ['MatMul', ['p', 'v'], 'o'],
    ),
  ],
  'its root on both operands': [
    ...kT,
    ...chain(
      ['Mul', ['q', 'root'], 'qs'],
      ['Mul', ['kT', 'root'], 'ks'],
      ['MatMul', ['qs', 'ks'], 's'],
      ['Softmax', ['s'], 'p', { axis: -1 }],
      ['MatMul', ['p', 'v'], 'o'],
    ),
  ],
  division: [
    ...kT,
    ...chain(
      ['MatMul', ['q', 'kT'], 's'],
      ['Div', ['s', 'inverse'], 'ss'],
      ['Softmax', ['ss'], 'p', { axis: -1 }],
      ['MatMul', ['p', 'v'], 'o'],
    ),
  ],
};

describe('attention from products', () => {
  test.each(Object.entries(variants))('%s', async (_, nodes) => {
    const result = await importAndCompare({
      nodes: [...qkv, ...nodes, ...merge],
      initializers: { ...initializers, inverse: floats([], [1 / 0.3]) },
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
        ...chain(
          ['MatMul', ['q', 'kT'], 's'],
          ['Mul', ['s', 'scale.heads'], 'ss'],
          ['Add', ['ss', 'bias.heads'], 'b'],
          ['Softmax', ['b'], 'p', { axis: -1 }],
          ['MatMul', ['p', 'v'], 'o'],
        ),
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
      chain(
        ['MatMul', ['x', `${name}.weight`], `${name}m`],
        ['Reshape', [`${name}m`, 'split.heads'], `${name}r`],
        ['Transpose', [`${name}r`], `${name}t`, { perm: [0, 2, 1, 3] }],
        ['Reshape', [`${name}t`, 'perHead'], name],
      );
    const { nodes } = await importAndCompare({
      nodes: [
        ...['q', 'k', 'v'].flatMap(project),
        ...chain(
          ['Transpose', ['k'], 'kT', { perm: [0, 2, 1] }],
          ['MatMul', ['q', 'kT'], 's'],
          ['Softmax', ['s'], 'p', { axis: -1 }],
          ['MatMul', ['p', 'v'], 'of'],
          ['Reshape', ['of', 'unflat'], 'o'],
        ),
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
          chain(
            ['MatMul', ['x', `${name}.weight`], `${name}m`],
            ['Reshape', [`${name}m`, 'interleaved'], `${name}r`],
            ['Transpose', [`${name}r`], name, { perm: [0, 3, 1, 2] }],
          ),
        ),
        ...kT,
        ...chain(['MatMul', ['q', 'kT'], 's'], ['Softmax', ['s'], 'p', { axis: -1 }], ['MatMul', ['p', 'v'], 'o']),
        ...merge,
      ],
      initializers: { ...initializers, interleaved: ints([1, TOKENS, DIM, HEADS]) },
    });
    expect(opsOf(nodes)).toEqual(['linear', 'linear', 'linear', 'attention']);
  });

  test('windows with a mask added through reshapes', async () => {
    const masks = Float32Array.from(noise(2 * 2 * 2, 12), (value) => (value > 0 ? 0 : -100));
    const { nodes } = await importAndCompare({
      nodes: chain(
        // Two windows of two tokens, every other token: rows 0 and 2, rows 1 and 3.
        ['MatMul', ['x', 'qkv.weight'], 'm'],
        ['Reshape', ['m', 'windows'], 'w'],
        ['Transpose', ['w'], 't', { perm: [3, 1, 2, 0, 4] }],
        ['Reshape', ['t', 'grouped'], 'g'],
        ['Gather', ['g', 'zero'], 'q', { axis: 0 }],
        ['Gather', ['g', 'one'], 'k', { axis: 0 }],
        ['Gather', ['g', 'two'], 'v', { axis: 0 }],
        ['Transpose', ['k'], 'kT', { perm: [0, 1, 3, 2] }],
        ['MatMul', ['q', 'kT'], 's'],
        ['Reshape', ['s', 'perWindow'], 'sw'],
        ['Add', ['sw', 'mask'], 'sm'],
        ['Reshape', ['sm', 'flatWindow'], 'sf'],
        ['Softmax', ['sf'], 'p', { axis: -1 }],
        ['MatMul', ['p', 'v'], 'o'],
        ['Transpose', ['o'], 'ot', { perm: [0, 2, 1, 3] }],
        ['Reshape', ['ot', 'unwindow'], 'ou'],
        ['Transpose', ['ou'], 'ov', { perm: [1, 0, 2] }],
        ['Reshape', ['ov', 'merged'], 'y'],
      ),
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
        ...chain(
          ['MatMul', ['q', 'kT'], 's'],
          ['Where', ['keep', 's', 'never'], 'w'],
          ['Softmax', ['w'], 'p', { axis: -1 }],
          ['MatMul', ['p', 'v'], 'o'],
        ),
        ...merge,
      ],
      initializers: { ...initializers, keep, never: floats([], [-Infinity]) },
    });
    expect(attentionOf(nodes).bias![1]).toBe(-1e9);
  });

  test('a softmax anywhere else is refused', async () => {
    const outside = importAndCompare({ nodes: [{ op: 'Softmax', name: 'probabilities', in: ['x'], out: ['y'] }] });
    await expect(outside).rejects.toMatchObject({
      problems: [{ node: 'probabilities', op: 'Softmax', remedy: expect.stringMatching(/logits/) }],
    });
  });
});

/** Shapes of the windowed test above. */
function windowed(): Record<string, ReturnType<typeof ints>> {
  return { perWindow: ints([1, 2, 1, 2, 2]), flatWindow: ints([2, 1, 2, 2]), unwindow: ints([2, 2, CHANNELS]) };
}

describe('attention operators', () => {
  const project = ['q', 'k', 'v'].flatMap((name) => chain(['MatMul', ['x', `${name}.weight`], `${name}m`]));
  const split = ['q', 'k', 'v'].flatMap((name) =>
    chain(
      ['Reshape', [`${name}m`, 'split.heads'], `${name}r`],
      ['Transpose', [`${name}r`], name, { perm: [0, 2, 1, 3] }],
    ),
  );

  test('Attention (opset 23) on four axes, scale left out', async () => {
    const { nodes } = await importAndCompare({
      opset: 23,
      nodes: [...project, ...split, ...chain(['Attention', ['q', 'k', 'v'], 'o']), ...merge],
      initializers,
    });
    expect(attentionOf(nodes).scale[0]).toBeCloseTo(1 / Math.sqrt(DIM), 6);
  });

  test('Attention (opset 23) on three axes, with a mask', async () => {
    const { nodes } = await importAndCompare({
      opset: 23,
      nodes: [
        ...project,
        {
          op: 'Attention',
          in: ['qm', 'km', 'vm', 'mask'],
          out: ['y'],
          attributes: { q_num_heads: HEADS, kv_num_heads: HEADS, scale: { float: 0.3 } },
        },
      ],
      initializers: { ...initializers, mask: random([TOKENS, TOKENS], 13) },
    });
    expect(attentionOf(nodes)).toMatchObject({ heads: HEADS, biasHeads: 1 });
  });

  test('ONNX Runtime’s Attention', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        {
          op: 'Attention',
          domain: 'com.microsoft',
          in: ['x', 'qkv.weight', 'qkv.bias'],
          out: ['y'],
          attributes: { num_heads: HEADS },
        },
      ],
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['linear', 'attention']);
  });

  test('ONNX Runtime’s MultiHeadAttention', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        ...project,
        {
          op: 'MultiHeadAttention',
          domain: 'com.microsoft',
          in: ['qm', 'km', 'vm', 'qkv.bias'],
          out: ['y'],
          attributes: { num_heads: HEADS },
        },
      ],
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['linear', 'linear', 'linear', 'attention']);
  });

  test('a causal attention is refused', async () => {
    const causal = importAndCompare({
      opset: 23,
      nodes: [
        ...project,
        {
          op: 'Attention',
          in: ['qm', 'km', 'vm'],
          out: ['y'],
          attributes: { q_num_heads: HEADS, kv_num_heads: HEADS, is_causal: 1 },
        },
      ],
      initializers,
    });
    await expect(causal).rejects.toThrow(/causal/);
  });
});
