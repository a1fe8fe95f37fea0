import { describe, expect, test } from 'vitest';
import { floats, ints } from '../../onnx/build.js';
import { chain, CHANNELS, importAndCompare, opsOf, TOKENS, type Step } from './stem.js';

const initializers = {
  grid: ints([1, CHANNELS, 2, 2]),
  axis1: ints([1]),
  starts: ints([1]),
  ends: ints([TOKENS]),
  count: floats([], [TOKENS]),
};

describe('mean pooling', () => {
  test.each<[string, readonly Step[], number?]>([
    ['ReduceMean over tokens', [['ReduceMean', ['x'], 'y', { axes: [1], keepdims: 0 }]]],
    ['ReduceMean with axes as an input', [['ReduceMean', ['x', 'axis1'], 'y']], 18],
    [
      'GlobalAveragePool over the map',
      [
        ['Transpose', ['x'], 't', { perm: [0, 2, 1] }],
        ['Reshape', ['t', 'grid'], 'm'],
        ['GlobalAveragePool', ['m'], 'y'],
      ],
    ],
    [
      'a sum divided by the count',
      [
        ['ReduceSum', ['x', 'axis1'], 's'],
        ['Div', ['s', 'count'], 'y'],
      ],
    ],
  ])('%s', async (_, steps, opset) => {
    const { nodes } = await importAndCompare({ nodes: chain(...steps), initializers, opset });
    expect(nodes[0]).toMatchObject({ op: 'meanRows', rows: 1, cols: CHANNELS, group: TOKENS });
    expect(nodes.filter((node) => node.op === 'gather')).toEqual([]);
  });

  test('of all but the first token', async () => {
    const { nodes } = await importAndCompare({
      nodes: chain(['Slice', ['x', 'starts', 'ends', 'axis1'], 's'], ['ReduceMean', ['s'], 'y', { axes: [1] }]),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['gather', 'meanRows']);
  });
});
