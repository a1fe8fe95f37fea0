import { describe, expect, test } from 'vitest';
import { floats, ints, random } from '../../onnx/build.js';
import { compareOnMap, MAP_CHANNELS as C } from './map-stem.js';
import { opsOf } from './stem.js';

const factors = { gamma: random([C, 1, 1], 3), beta: random([C, 1, 1], 4) };

describe('norms over groups of channels', () => {
  test.each([
    ['one group', 1],
    ['three groups', 3],
    ['a group for each channel', C],
  ])('%s, as PyTorch writes it', async (_, groups) => {
    const { nodes } = await compareOnMap({
      steps: `
        r = Reshape(m, groups)
        i = InstanceNormalization(r, ones, zeros; epsilon=0.00001f)
        b = Reshape(i, whole)
        s = Mul(b, gamma)
        y = Add(s, beta)
      `,
      initializers: {
        ...factors,
        groups: ints([1, groups, -1]),
        whole: ints([1, C, 8, 8]),
        ones: random([groups], 5),
        zeros: random([groups], 6),
      },
    });
    expect(opsOf(nodes)).toEqual(['groupNorm', 'gather']);
    expect(nodes[0]).toMatchObject({ groups, rows: 64, cols: C });
  });

  test('as one operator', async () => {
    const { nodes } = await compareOnMap({
      steps: 'y = GroupNormalization(m, gamma, beta; num_groups=2)',
      initializers: { gamma: random([C], 3), beta: random([C], 4) },
      opset: 21,
    });
    expect(opsOf(nodes)).toEqual(['groupNorm', 'gather']);
  });

  test('written out over channels, a LayerNorm of every pixel', async () => {
    const { nodes } = await compareOnMap({
      steps: `
        u = ReduceMean(m; axes=[1])
        d = Sub(m, u)
        q = Mul(d, d)
        v = ReduceMean(q; axes=[1])
        e = Add(v, epsilon)
        r = Sqrt(e)
        n = Div(d, r)
        s = Mul(n, gamma)
        y = Add(s, beta)
      `,
      initializers: { ...factors, epsilon: floats([], [0.01]) },
    });
    expect(opsOf(nodes)).toEqual(['layerNorm', 'gather']);
    expect(nodes[0]).toMatchObject({ rows: 64, cols: C });
  });

  test('written out over channels and pixels, one group', async () => {
    const { nodes } = await compareOnMap({
      steps: `
        u = ReduceMean(m; axes=[1, 2, 3])
        d = Sub(m, u)
        q = Mul(d, d)
        v = ReduceMean(q; axes=[1, 2, 3])
        e = Add(v, epsilon)
        r = Sqrt(e)
        y = Div(d, r)
      `,
      initializers: { epsilon: floats([], [0.01]) },
    });
    expect(opsOf(nodes)).toEqual(['groupNorm', 'gather']);
  });
});
