import { describe, expect, test } from 'vitest';
import { ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf } from '../idioms/stem.js';

/** x as a video of two channels, four frames of 2×2. */
const VIDEO = `
  t = Transpose(x; perm=[0, 2, 1])
  v = Reshape(t, shape)
`;
const initializers = {
  shape: ints([1, CHANNELS / 4, 4, 2, 2]),
  weight: random([6, CHANNELS / 4, 2, 2, 2], 5),
  whole: random([6, CHANNELS / 4, 4, 1, 1], 6),
  each: random([2, 1, 3, 1, 1], 7),
  bias: random([6], 8),
};

describe('windows over frames', () => {
  test.each([
    ['tubelets', 'y = Conv(v, weight, bias; strides=[2, 2, 2])'],
    ['all frames at once', 'y = Conv(v, whole)'],
    ['overlapping, with frames of zeros around', 'y = Conv(v, each; group=2, pads=[1, 0, 0, 1, 0, 0])'],
    ['an average', 'y = AveragePool(v; kernel_shape=[2, 1, 2], strides=[1, 1, 1], pads=[1, 0, 0, 1, 0, 1])'],
    ['an average of whole frames', 'y = AveragePool(v; kernel_shape=[4, 2, 2])'],
    ['a maximum', 'y = MaxPool(v; kernel_shape=[3, 2, 1], strides=[1, 1, 1], pads=[1, 0, 0, 1, 0, 0])'],
  ])('%s', async (_, steps) => {
    const { nodes } = await importAndCompare({ nodes: nodesOf(VIDEO + steps), initializers });
    expect(opsOf(nodes).length).toBeGreaterThan(0);
  });
});
