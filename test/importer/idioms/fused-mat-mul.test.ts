import { describe, expect, test } from 'vitest';
import { ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf } from './stem.js';

const domain = 'com.microsoft';

describe('FusedMatMul', () => {
  test('transposed weights and a factor', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        { op: 'FusedMatMul', domain, in: ['x', 'w'], out: ['y'], attributes: { transB: 1, alpha: { float: 0.25 } } },
      ],
      initializers: { w: random([6, CHANNELS], 5) },
    });
    expect(opsOf(nodes)).toEqual(['linear']);
  });

  test('attention with transposed keys', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        ...nodesOf('k = MatMul(x, w)'),
        { op: 'FusedMatMul', domain, in: ['x', 'k'], out: ['s'], attributes: { transB: 1, alpha: { float: 0.25 } } },
        ...nodesOf(`
          p = Softmax(s; axis=-1)
          o = MatMul(p, x)
          y = Reshape(o, flat4)
        `),
      ],
      initializers: { w: random([CHANNELS, CHANNELS], 5), flat4: ints([4, CHANNELS]) },
    });
    expect(nodes.find((node) => node.op === 'attention')).toMatchObject({ heads: 1, scale: Float32Array.of(0.25) });
  });

  test.each(['transBatchA=1', 'transBatchA=1, transA=1', 'transBatchB=1', 'transBatchB=1, transB=1'])(
    'transposed batch axes, %s',
    async (attributes) => {
      const isLeft = attributes.includes('A');
      await importAndCompare({
        nodes: nodesOf(`
          a = Reshape(x, split)
          y = com.microsoft.FusedMatMul(${isLeft ? 'a, b' : 'b, a'}; ${attributes})
        `),
        // The batch is the second axis of a.
        initializers: { split: ints([4, 2, 4]), b: random(isLeft ? [2, 4, 5] : [2, 5, 4], 6) },
      });
    },
  );
});
