import { describe, expect, test } from 'vitest';
import type { AttentionNode } from '../../../src/importer/index.js';
import { ints, random, type TensorSpec } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf, TOKENS } from './stem.js';

const HEADS = 2;
const DIM = CHANNELS / HEADS;

const initializers: Record<string, TensorSpec> = {
  'qkv.weight': random([CHANNELS, 3 * CHANNELS], 5),
  'qkv.bias': random([3 * CHANNELS], 6),
  wq: random([CHANNELS, CHANNELS], 7),
  wk: random([CHANNELS, CHANNELS], 8),
  wv: random([CHANNELS, CHANNELS], 9),
  wk1: random([CHANNELS, DIM], 10),
  wv1: random([CHANNELS, DIM], 11),
  mask: random([TOKENS, TOKENS], 13),
  seen64: ints([1, 1, 0, 1], [1, TOKENS]),
  // Of every query another key is hidden.
  pairs64: ints(
    Array.from({ length: TOKENS ** 2 }, (_, i) => Number(i % (TOKENS + 1) !== 0)),
    [TOKENS, TOKENS],
  ),
  one: ints([1]),
  heads: ints([1, TOKENS, HEADS, DIM]),
  packed2: ints([1, TOKENS, HEADS, 2, DIM]),
  packed3: ints([1, TOKENS, HEADS, 3, DIM]),
  merged: ints([1, TOKENS, CHANNELS]),
};

const project = `
  qm = MatMul(x, wq)
  km = MatMul(x, wk)
  vm = MatMul(x, wv)
`;
const seen = 'seen = Cast(seen64; to=6)';
const split = ['q', 'k', 'v']
  .map(
    (name) => `
      ${name}r = Reshape(${name}m, heads)
      ${name} = Transpose(${name}r; perm=[0, 2, 1, 3])
    `,
  )
  .join('');
const merge = `
  ot = Transpose(o; perm=[0, 2, 1, 3])
  y = Reshape(ot, merged)
`;

const imported = (steps: string, opset?: number) => importAndCompare({ nodes: nodesOf(steps), initializers, opset });

async function attentionIn(steps: string, opset?: number): Promise<AttentionNode> {
  const { nodes } = await imported(steps, opset);
  return nodes.find((node) => node.op === 'attention')!;
}

describe('Attention, the standard operator', () => {
  test('on four axes, scale left out', async () => {
    const { scale } = await attentionIn(
      `${project} ${split}
       o = Attention(q, k, v)
       ${merge}`,
      23,
    );
    expect(scale[0]).toBeCloseTo(1 / Math.sqrt(DIM), 6);
  });

  test.each([23, 24])('on three axes, with a mask, opset %i', async (opset) => {
    const node = await attentionIn(
      `${project}
       y = Attention(qm, km, vm, mask; q_num_heads=2, kv_num_heads=2, scale=0.3f)`,
      opset,
    );
    expect(node).toMatchObject({ heads: HEADS, biasHeads: 1 });
  });

  test('fewer heads of keys than of queries, and a boolean mask', async () => {
    const node = await attentionIn(
      `qm = MatMul(x, wq)
       km = MatMul(x, wk1)
       vm = MatMul(x, wv1)
       keep = Cast(pairs64; to=9)
       y = Attention(qm, km, vm, keep; q_num_heads=2, kv_num_heads=1)`,
      23,
    );
    expect(node).toMatchObject({ heads: HEADS });
  });

  test('capped scores, to which the mask is added', async () => {
    const { nodes } = await imported(
      `${project}
       y = Attention(qm, km, vm, mask; q_num_heads=2, kv_num_heads=2, softcap=0.7f)`,
      23,
    );
    expect(opsOf(nodes)).toContain('softmax');
  });

  test('a bias of the activations', async () => {
    const { nodes } = await imported(
      `${project}
       xt = Transpose(x; perm=[0, 2, 1])
       bias = MatMul(x, xt)
       y = Attention(qm, km, vm, bias; q_num_heads=2, kv_num_heads=2)`,
      23,
    );
    expect(opsOf(nodes)).toContain('softmax');
  });

  test('a causal one is refused', async () => {
    const steps = `${project}
      y = Attention(qm, km, vm; q_num_heads=2, kv_num_heads=2, is_causal=1)`;
    await expect(imported(steps, 23)).rejects.toThrow(/causal/);
  });
});

describe('ONNX Runtime’s', () => {
  test.each(['', ', seen', ', , , mask4'])('Attention%s', async (more) => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        ${seen}
        y = com.microsoft.Attention(x, qkv.weight, qkv.bias${more}; num_heads=2)
      `),
      initializers: { ...initializers, mask4: random([1, HEADS, TOKENS, TOKENS], 14) },
    });
    expect(opsOf(nodes)).toEqual(['linear', 'attention']);
  });

  test.each(['qm, km, vm', 'qm, km, vm, qkv.bias', 'qm, k, v', 'qm, km, vm, , seen'])(
    'MultiHeadAttention of %s',
    async (inputs) => {
      const node = await attentionIn(
        `${project} ${split}
         ${seen}
         y = com.microsoft.MultiHeadAttention(${inputs}; num_heads=2)`,
      );
      expect(node).toMatchObject({ heads: HEADS });
    },
  );

  test('a mask that hides no key needs no bias', async () => {
    const node = await attentionIn(
      `${project}
       all64 = Max(seen64, one)
       all = Cast(all64; to=6)
       y = com.microsoft.MultiHeadAttention(qm, km, vm, , all; num_heads=2)`,
    );
    expect(node.bias).toBeNull();
  });

  test.each([
    ['kv = Reshape(two, packed2)', 'qm, kv', 16],
    ['qkv = Reshape(two, packed3)', 'qkv', 24],
  ])('MultiHeadAttention, packed: %s', async (pack, inputs, width) => {
    const { nodes } = await importAndCompare(
      {
        nodes: nodesOf(`
          qm = MatMul(x, wq)
          two = MatMul(x, wide)
          ${pack}
          y = com.microsoft.MultiHeadAttention(${inputs}; num_heads=2)
        `),
        initializers: { ...initializers, wide: random([CHANNELS, width], 15) },
      },
      // ONNX Runtime packs for graphics processors alone.
      { skipRuntime: true },
    );
    const attention = nodes.find((node) => node.op === 'attention')!;
    expect(attention).toMatchObject({ heads: HEADS });
  });

  test('a cache is refused', async () => {
    const steps = `${project} ${split}
      y = com.microsoft.MultiHeadAttention(qm, km, vm, , , , k, v; num_heads=2)`;
    await expect(imported(steps)).rejects.toThrow(/cache/);
  });
});
