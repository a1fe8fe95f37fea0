import { describe, expect, test } from 'vitest';
import { floats, ints, type NodeSpec } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf, TOKENS } from './stem.js';

const initializers = {
  grid: ints([1, CHANNELS, 2, 2]),
  axis1: ints([1]),
  starts: ints([1]),
  ends: ints([TOKENS]),
  count: floats([], [TOKENS]),
};

describe('mean pooling', () => {
  test.each<[string, readonly NodeSpec[], number?]>([
    ['ReduceMean over tokens', nodesOf('y = ReduceMean(x; axes=[1], keepdims=0)')],
    ['ReduceMean with axes as an input', nodesOf('y = ReduceMean(x, axis1)'), 18],
    [
      'GlobalAveragePool over the map',
      nodesOf(`
        t = Transpose(x; perm=[0, 2, 1])
        m = Reshape(t, grid)
        y = GlobalAveragePool(m)
      `),
    ],
    [
      'a sum divided by the count',
      nodesOf(`
        s = ReduceSum(x, axis1)
        y = Div(s, count)
      `),
    ],
  ])('%s', async (_, steps, opset) => {
    const { nodes } = await importAndCompare({ nodes: steps, initializers, opset });
    expect(nodes[0]).toMatchObject({ op: 'meanRows', rows: 1, cols: CHANNELS, group: TOKENS });
    expect(nodes.filter((node) => node.op === 'gather')).toEqual([]);
  });

  test('of all but the first token', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        s = Slice(x, starts, ends, axis1)
        y = ReduceMean(s; axes=[1])
      `),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['gather', 'meanRows']);
  });
});
