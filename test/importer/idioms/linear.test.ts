import { describe, expect, test } from 'vitest';
import { floats, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf, TOKENS } from './stem.js';
import { ints } from '../../onnx/build.js';

const initializers = {
  'fc.weight': random([CHANNELS, 6], 5),
  'fc.weightT': random([6, CHANNELS], 5),
  'fc.bias': random([6], 6),
  'ls.gamma': random([6], 7),
  scale: floats([], [0.5]),
  rows: ints([TOKENS, CHANNELS]),
};

describe('linear layers', () => {
  test('MatMul and Add, in either order of operands', async () => {
    for (const operands of ['m, fc.bias', 'fc.bias, m']) {
      const { nodes } = await importAndCompare({
        nodes: nodesOf(`
          m = MatMul(x, fc.weight)
          y = Add(${operands})
        `),
        initializers,
      });
      expect(nodes).toMatchObject([{ op: 'linear', id: 'y', name: 'fc', rows: TOKENS, cols: 6, inFeatures: CHANNELS }]);
    }
  });

  test('Gemm with transposed weights, alpha and beta', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        r = Reshape(x, rows)
        y = Gemm(r, fc.weightT, fc.bias; transB=1, alpha=0.5f, beta=2f)
      `),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['linear']);
  });

  test('LayerScale and a scalar after it fold into its weights', async () => {
    const { graph, nodes } = await importAndCompare({
      nodes: nodesOf(`
        m = MatMul(x, fc.weight)
        a = Add(m, fc.bias)
        b = Mul(ls.gamma, a)
        y = Mul(b, scale)
      `),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['linear']);
    expect(graph.folded.join()).toMatch(/scale per channel/);
  });

  test('a constant matrix on the left acts along the tokens', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf('y = MatMul(mix, x)'),
      initializers: { mix: random([3, TOKENS], 8) },
    });
    expect(opsOf(nodes)).toEqual(['gather', 'linear', 'gather']);
  });

  test('Einsum', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf('y = Einsum(x, fc.weight; equation="bnk,km->bnm")'),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['linear']);
  });

  test('shapes that do not fit are refused, naming the node', async () => {
    const wrong = importAndCompare({
      nodes: [{ op: 'MatMul', name: 'head', in: ['x', 'fc.weightT'], out: ['y'] }],
      initializers,
    });
    await expect(wrong).rejects.toThrow(/node "head" \(MatMul\).*\[1, 4, 8\].*\[6, 8\]/);
  });

  test('infinite weights are refused', async () => {
    const infinite = importAndCompare({
      nodes: nodesOf('y = MatMul(x, w)'),
      initializers: { w: floats([CHANNELS, 1], [1, 2, 3, Infinity, 5, 6, 7, 8]) },
    });
    await expect(infinite).rejects.toThrow(/weight.*Infinity/);
  });
});
