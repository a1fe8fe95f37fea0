import { describe, expect, test } from 'vitest';
import { floats, ints } from '../../onnx/build.js';
import { compareOnMap } from './map-stem.js';
import { opsOf } from './stem.js';

describe('average pooling', () => {
  test.each([
    ['over windows that do not overlap', 'kernel_shape=[2, 2], strides=[2, 2]'],
    ['that keeps the size, without the padding', 'kernel_shape=[3, 3], pads=[1, 1, 1, 1]'],
    ['the padding counted', 'kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1'],
    ['with a last window that is cut', 'kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1'],
    ['over large windows', 'kernel_shape=[5, 5], pads=[2, 2, 2, 2]'],
    ['of other sizes down and across', 'kernel_shape=[2, 3], strides=[1, 2]'],
    ['with as much padding as keeps the size', 'kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"'],
  ])('%s', async (_, attributes) => {
    const { nodes } = await compareOnMap({ steps: `y = AveragePool(m; ${attributes})` });
    expect(opsOf(nodes)).toContain('mixRows');
  });

  test('over the whole map is its mean', async () => {
    const { nodes } = await compareOnMap({ steps: 'y = AveragePool(m; kernel_shape=[8, 8])' });
    expect(opsOf(nodes)).toEqual(['meanRows']);
  });
});

describe('the largest', () => {
  test.each([
    ['of windows', 'y = MaxPool(m; kernel_shape=[2, 2], strides=[2, 2])'],
    ['of windows that overlap', 'y = MaxPool(m; kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])'],
    ['of windows far apart', 'y = MaxPool(m; kernel_shape=[2, 2], dilations=[3, 2])'],
    ['with a last window that is cut', 'y = MaxPool(m; kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1)'],
    [
      'of windows over a border of lowest values',
      `c = Mul(m, minus)
       p = Pad(c, pads, lowest)
       y = MaxPool(p; kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 0])`,
    ],
    ['of the map', 'y = GlobalMaxPool(m)'],
    ['of an axis', 'y = ReduceMax(m; axes=[2], keepdims=0)'],
    ['of channels', 'y = ReduceMax(m; axes=[1])'],
    ['of the last axis', 'y = ReduceMax(m; axes=[-1], keepdims=0)'],
    ['of all', 'y = ReduceMax(m; keepdims=0)'],
  ])('%s', async (_, step) => {
    const { nodes } = await compareOnMap({
      steps: step,
      initializers: { minus: floats([], [-1]), pads: ints([0, 0, 0, 1, 0, 0, 1, 2]), lowest: floats([], [-Infinity]) },
    });
    expect(opsOf(nodes)).toContain('maxPool');
  });

  test('of windows of each map of a batch is one pool of them all', async () => {
    const { nodes } = await compareOnMap({
      steps: `
        r = Reshape(m, halves)
        t = Transpose(r; perm=[0, 2, 1, 3, 4])
        b = Reshape(t, batch)
        y = MaxPool(b; kernel_shape=[2, 2], strides=[2, 2])
      `,
      initializers: { halves: ints([1, 6, 2, 4, 8]), batch: ints([2, 6, 4, 8]) },
    });
    expect(opsOf(nodes).filter((op) => op === 'maxPool')).toHaveLength(1);
  });
});

describe('resizing of maps', () => {
  const sizes = { sizes: ints([1, 6, 16, 12]) };
  test.each([
    ['bilinear', 'mode="linear", coordinate_transformation_mode="half_pixel"'],
    ['bilinear, corners aligned', 'mode="linear", coordinate_transformation_mode="align_corners"'],
    ['as PyTorch has it', 'mode="linear", coordinate_transformation_mode="pytorch_half_pixel"'],
    ['bicubic', 'mode="cubic", cubic_coeff_a=-0.75f'],
    ['smoothed', 'mode="linear", antialias=1'],
  ])('%s', async (_, attributes) => {
    const { nodes } = await compareOnMap({
      steps: `y = Resize(m, , , sizes; ${attributes})`,
      initializers: sizes,
      opset: 18,
    });
    expect(opsOf(nodes)).toContain('mixRows');
  });

  test('smoothed, to a smaller size', async () => {
    await compareOnMap({
      steps: 'y = Resize(m, , , sizes; mode="linear", antialias=1)',
      initializers: { sizes: ints([1, 6, 3, 5]) },
      opset: 18,
    });
  });

  test('bilinear by factors', async () => {
    const { nodes } = await compareOnMap({
      steps: 'y = Resize(m, , scales; mode="linear", coordinate_transformation_mode="asymmetric")',
      initializers: { scales: floats([4], [1, 1, 2, 1.5]) },
    });
    expect(opsOf(nodes).filter((op) => op === 'mixRows')).toHaveLength(1);
  });

  test('the nearest pixels are moved alone', async () => {
    const { nodes } = await compareOnMap({
      steps:
        'y = Resize(m, , scales; mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")',
      initializers: { scales: floats([4], [1, 1, 2, 2]) },
    });
    expect(opsOf(nodes)).toEqual(['gather']);
  });

  test('of channels last, along any axis', async () => {
    await compareOnMap({
      steps: `
        t = Transpose(m; perm=[0, 2, 3, 1])
        y = Resize(t, , , sizes; mode="linear")
      `,
      initializers: { sizes: ints([1, 5, 16, 6]) },
    });
  });
});
