import { describe, expect, test } from 'vitest';
import { ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf, TOKENS } from './stem.js';

const table = (seed: number, rows: number, width: number) => random([rows, width], seed);
const initializers = {
  ids: ints([0, 2, 1, 3], [1, TOKENS]),
  first: ints([1]),
  heads: ints([1, TOKENS, 2, CHANNELS / 2]),
  'x.shape': ints([1, TOKENS, CHANNELS]),
  cos: table(5, 8, CHANNELS / 4),
  sin: table(6, 8, CHANNELS / 4),
  cos1: table(7, 8, 1),
  sin1: table(8, 8, 1),
};

describe('RotaryEmbedding', () => {
  test.each([
    ['halves', 'num_heads=2'],
    ['pairs', 'num_heads=2, interleaved=1'],
  ])('of ONNX Runtime, %s', async (_, attributes) => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`y = com.microsoft.RotaryEmbedding(x, ids, cos, sin; ${attributes})`),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['rotary']);
  });

  test('from one position on', async () => {
    await importAndCompare({
      nodes: nodesOf('y = com.microsoft.RotaryEmbedding(x, first, cos, sin; num_heads=2)'),
      initializers,
    });
  });

  test('of a part of the channels', async () => {
    await importAndCompare({
      nodes: nodesOf('y = com.microsoft.RotaryEmbedding(x, ids, cos1, sin1; num_heads=2, rotary_embedding_dim=2)'),
      initializers,
    });
  });

  test('of opset 23, heads apart', async () => {
    await importAndCompare({
      opset: 23,
      nodes: nodesOf(`
        h = Reshape(x, heads)
        t = Transpose(h; perm=[0, 2, 1, 3])
        r = RotaryEmbedding(t, cos, sin, ids)
        u = Transpose(r; perm=[0, 2, 1, 3])
        y = Reshape(u, x.shape)
      `),
      initializers,
    });
  });
});
