import { describe, expect, test } from 'vitest';
import { ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf } from '../idioms/stem.js';

const initializers = { shape: ints([1, CHANNELS, 2, 2]), grid: random([1, 3, 5, 2], 9) };

describe('a map read at constant places', () => {
  test.each(['bilinear', 'nearest', 'bicubic'])('%s', async (mode) => {
    for (const padding of ['zeros', 'border', 'reflection'])
      for (const corners of [0, 1]) {
        const { nodes } = await importAndCompare({
          nodes: nodesOf(`
            t = Transpose(x; perm=[0, 2, 1])
            m = Reshape(t, shape)
            y = GridSample(m, grid; mode="${mode}", padding_mode="${padding}", align_corners=${corners})
          `),
          initializers,
          opset: 16,
        });
        expect(opsOf(nodes)).toContain('mixRows');
      }
  });

  test('places that depend on the image are refused', async () => {
    const deformable = importAndCompare({
      nodes: nodesOf(`
        t = Transpose(x; perm=[0, 2, 1])
        m = Reshape(t, shape)
        g = Reshape(x, other)
        y = GridSample(m, g)
      `),
      initializers: { ...initializers, other: ints([1, 4, 4, 2]) },
      opset: 16,
    });
    await expect(deformable).rejects.toThrow(/places that are read depend on the image/);
  });
});
