import { describe, expect, test } from 'vitest';
import { floats, ints, noise, random } from '../../onnx/build.js';
import { compareOnMap, MAP_CHANNELS as C } from './map-stem.js';
import { opsOf } from './stem.js';

const positive = (count: number, seed: number): Float32Array => noise(count, seed).map((v) => Math.abs(v) + 0.5);

describe('convolutions over a map', () => {
  test.each<[string, readonly number[], string]>([
    ['3×3', [5, C, 3, 3], 'kernel_shape=[3, 3], pads=[1, 1, 1, 1]'],
    ['strided', [5, C, 3, 3], 'kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]'],
    ['of other strides down and across', [5, C, 3, 3], 'kernel_shape=[3, 3], strides=[2, 1], pads=[1, 1, 1, 1]'],
    ['dilated', [5, C, 3, 3], 'kernel_shape=[3, 3], dilations=[2, 3], pads=[2, 3, 2, 3]'],
    ['with asymmetric padding', [5, C, 3, 2], 'kernel_shape=[3, 2], pads=[0, 1, 2, 0]'],
    [
      'with as much padding as keeps the size',
      [5, C, 4, 4],
      'kernel_shape=[4, 4], strides=[2, 2], auto_pad="SAME_UPPER"',
    ],
    ['the same with more of it before', [5, C, 4, 4], 'kernel_shape=[4, 4], strides=[3, 3], auto_pad="SAME_LOWER"'],
    ['patches that do not overlap', [5, C, 2, 2], 'kernel_shape=[2, 2], strides=[2, 2]'],
    ['over the whole map', [5, C, 8, 8], 'kernel_shape=[8, 8]'],
    ['1×1, strided', [5, C, 1, 1], 'kernel_shape=[1, 1], strides=[2, 2]'],
  ])('%s are windows and a linear layer', async (_, weight, attributes) => {
    const { nodes } = await compareOnMap({
      steps: `y = Conv(m, w, b; ${attributes})`,
      initializers: { w: random(weight), b: random([weight[0]], 2) },
    });
    expect(opsOf(nodes).slice(0, 2)).toEqual(['windows', 'linear']);
    expect(nodes.length).toBeLessThanOrEqual(3);
  });

  test('1×1 are a linear layer', async () => {
    const { nodes } = await compareOnMap({
      steps: `
        a = Conv(m, w; kernel_shape=[1, 1])
        b = Relu(a)
        p = Transpose(b; perm=[0, 2, 3, 1])
        y = ReduceMean(p; axes=[1, 2], keepdims=0)
      `,
      initializers: { w: random([5, C, 1, 1]) },
    });
    expect(opsOf(nodes)).toEqual(['linear', 'activation', 'meanRows']);
  });

  test('of every channel by itself are depthwise', async () => {
    const { graph, nodes } = await compareOnMap({
      steps: `
        d = Conv(m, w, b; kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2], group=${C})
        t = Transpose(d; perm=[0, 2, 3, 1])
        y = ReduceMean(t; axes=[1, 2], keepdims=0)
      `,
      initializers: { w: random([C, 1, 3, 3]), b: random([C], 2) },
    });
    expect(opsOf(nodes)).toEqual(['depthwise', 'meanRows']);
    expect(graph.nodes[2]).toMatchObject({ rows: 16, cols: C, geometry: { stride: [2, 2], outSize: [4, 4] } });
  });

  test('of every channel with several filters are as many depthwise ones', async () => {
    const { nodes } = await compareOnMap({
      steps: `y = Conv(m, w, b; kernel_shape=[3, 3], pads=[0, 1, 0, 1], group=${C})`,
      initializers: { w: random([3 * C, 1, 3, 3]), b: random([3 * C], 2) },
    });
    expect(opsOf(nodes)).toEqual(['depthwise', 'depthwise', 'depthwise', 'gather']);
  });

  test.each([
    [2, 1],
    [3, 1],
  ])('of %i groups few enough to be one are one layer', async (group) => {
    const { nodes } = await compareOnMap({
      steps: `y = Conv(m, w, b; kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=${group})`,
      initializers: { w: random([12, C / group, 3, 3]), b: random([12], 2) },
    });
    expect(opsOf(nodes).filter((op) => op === 'linear')).toHaveLength(1);
  });

  test('of wide groups are a layer for each, with the bias and a norm after them in it', async () => {
    const { nodes } = await compareOnMap({
      steps: `
        e = Conv(m, wide; kernel_shape=[1, 1])
        a = Relu(e)
        g = Conv(a, w, b; kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=2)
        n = BatchNormalization(g, gamma, beta, mean, var)
        y = Relu(n)
      `,
      initializers: {
        wide: random([40, C, 1, 1]),
        w: random([8, 20, 3, 3], 2),
        b: random([8], 3),
        gamma: random([8], 4),
        beta: random([8], 5),
        mean: random([8], 6),
        var: floats([8], positive(8, 7)),
      },
    });
    expect(opsOf(nodes).filter((op) => op === 'linear')).toHaveLength(3);
    expect(opsOf(nodes)).not.toContain('affine');
  });

  test('straight on the image, of every channel by itself, are a patch embedding', async () => {
    const { graph } = await compareOnMap({
      steps: `
        d = Conv(image, w; kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=3)
        y = Relu(d)
      `,
      initializers: { w: random([6, 1, 3, 3]) },
    });
    expect(opsOf(graph.nodes)).toEqual(['patchEmbed', 'activation', 'gather']);
  });

  test('of a normalised image that is padded', async () => {
    await compareOnMap({
      steps: `
        n = Sub(image, mean)
        y = Conv(n, w; kernel_shape=[3, 3], pads=[1, 1, 1, 1])
      `,
      initializers: { w: random([6, 3, 3, 3]), mean: floats([1, 3, 1, 1], [0.5, -0.25, 2]) },
    });
  });

  test('zeros put around the map are part of it', async () => {
    const { nodes } = await compareOnMap({
      steps: `
        p = Pad(m, pads)
        y = Conv(p, w; kernel_shape=[3, 3], strides=[2, 2])
      `,
      initializers: {
        w: random([5, C, 3, 3]),
        pads: ints([0, 0, 0, 0, 0, 0, 1, 1]),
      },
    });
    expect(opsOf(nodes)).toEqual(['windows', 'linear', 'gather']);
  });

  test('along sequences', async () => {
    const { nodes } = await compareOnMap({
      steps: `
        s = Reshape(m, sequence)
        a = Conv(s, w, b; kernel_shape=[3], pads=[1, 1], strides=[2])
        y = Conv(a, d; kernel_shape=[5], pads=[2, 2], group=5)
      `,
      initializers: {
        sequence: ints([1, C, 64]),
        w: random([5, C, 3]),
        b: random([5], 2),
        d: random([5, 1, 5], 3),
      },
    });
    expect(opsOf(nodes).slice(0, 3)).toEqual(['windows', 'linear', 'depthwise']);
  });

  test('of each map of a batch, as windows are', async () => {
    await compareOnMap({
      steps: `
        r = Reshape(m, quarters)
        t = Transpose(r; perm=[0, 2, 4, 1, 3, 5])
        q = Reshape(t, batch)
        y = Conv(q, w; kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
      `,
      initializers: {
        quarters: ints([1, C, 2, 4, 2, 4]),
        batch: ints([4, C, 4, 4]),
        w: random([5, C, 3, 3]),
      },
    });
  });
});

describe('transposed convolutions', () => {
  test.each<[string, readonly number[], string]>([
    ['of windows that do not overlap', [C, 5, 2, 2], 'kernel_shape=[2, 2], strides=[2, 2]'],
    ['that overlap', [C, 5, 4, 4], 'kernel_shape=[4, 4], strides=[2, 2], pads=[1, 1, 1, 1]'],
    ['of an odd kernel', [C, 5, 3, 3], 'kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]'],
    ['that leave gaps', [C, 5, 2, 1], 'kernel_shape=[2, 1], strides=[3, 2]'],
    ['of stride one', [C, 5, 3, 3], 'kernel_shape=[3, 3], pads=[1, 0, 1, 2]'],
    ['in groups', [C, 2, 3, 3], 'kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], group=3'],
    ['of every channel by itself', [C, 1, 4, 4], `kernel_shape=[4, 4], strides=[2, 2], pads=[1, 1, 1, 1], group=${C}`],
    ['dilated', [C, 5, 3, 3], 'kernel_shape=[3, 3], strides=[2, 2], dilations=[3, 2], pads=[2, 2, 2, 2]'],
    ['with a size that is given', [C, 5, 3, 3], 'kernel_shape=[3, 3], strides=[2, 2], output_shape=[16, 16]'],
  ])('%s', async (_, weight, attributes) => {
    const group = Number(/group=(\d+)/.exec(attributes)?.[1] ?? 1);
    const filters = weight[1] * group;
    await compareOnMap({
      steps: `y = ConvTranspose(m, w, b; ${attributes})`,
      initializers: { w: random(weight), b: random([filters], 2) },
    });
  });
});

describe('norms around convolutions', () => {
  const statistics = (n: number) => ({
    gamma: random([n], 4),
    beta: random([n], 5),
    mean: random([n], 6),
    var: floats([n], positive(n, 7)),
  });

  test.each<[string, readonly number[], string]>([
    ['a convolution', [C, C, 3, 3], 'pads=[1, 1, 1, 1]'],
    ['a depthwise one', [C, 1, 3, 3], `pads=[1, 1, 1, 1], group=${C}`],
  ])('after %s are part of it', async (_, weight, attributes) => {
    const { nodes } = await compareOnMap({
      steps: `
        c = Conv(m, w; kernel_shape=[3, 3], ${attributes})
        n = BatchNormalization(c, gamma, beta, mean, var)
        y = GlobalAveragePool(n)
      `,
      initializers: { w: random(weight), ...statistics(C) },
    });
    expect(opsOf(nodes)).not.toContain('affine');
  });

  test.each<[string, readonly number[], string, boolean]>([
    ['one without padding', [C, C, 3, 3], 'kernel_shape=[3, 3]', true],
    ['a depthwise one without padding', [C, 1, 3, 3], `kernel_shape=[3, 3], group=${C}`, true],
    ['one with padding, whose zeros they do not shift', [C, C, 3, 3], 'kernel_shape=[3, 3], pads=[1, 1, 1, 1]', false],
  ])('before %s', async (_, weight, attributes, folds) => {
    const { nodes } = await compareOnMap({
      steps: `
        n = BatchNormalization(m, gamma, beta, mean, var)
        c = Conv(n, w; ${attributes})
        y = GlobalAveragePool(c)
      `,
      initializers: { w: random(weight), ...statistics(C) },
    });
    expect(opsOf(nodes).includes('affine')).toBe(!folds);
  });

  test('a factor alone goes past padding', async () => {
    const { nodes } = await compareOnMap({
      steps: `
        n = Mul(m, s)
        y = Conv(n, w; kernel_shape=[3, 3], pads=[1, 1, 1, 1])
      `,
      initializers: { w: random([5, C, 3, 3]), s: random([C, 1, 1], 3) },
    });
    expect(opsOf(nodes)).toEqual(['windows', 'linear', 'gather']);
  });
});
