import { expect, test } from 'vitest';
import { ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf } from '../idioms/stem.js';

const toMap = 't = Transpose(x; perm=[0, 2, 1])\nplane = Reshape(t, square)\n';
const initializers = { square: ints([1, CHANNELS, 2, 2]) };

test.each([1, 2])('LpNormalization, p = %d', async (p) => {
  const { nodes } = await importAndCompare({ nodes: nodesOf(`y = LpNormalization(x; axis=2, p=${p})`) });
  if (p === 2) expect(opsOf(nodes)).toEqual(['l2Norm']);
});

test('LRN', async () => {
  await importAndCompare({ nodes: nodesOf(`${toMap}y = LRN(plane; size=3, alpha=0.3f, beta=0.75f)`), initializers });
});

test.each(['y = GlobalLpPool(plane; p=2)', 'y = LpPool(plane; p=3, kernel_shape=[2, 1])'])('%s', async (pool) => {
  await importAndCompare({ nodes: nodesOf(toMap + pool), initializers });
});

test('a mean of tensors', async () => {
  await importAndCompare({
    nodes: nodesOf('t = Tanh(x)\ny = Mean(x, t, other)'),
    initializers: { other: random([CHANNELS], 5) },
  });
});

test('a window of ceil_mode that is larger than the map', async () => {
  await importAndCompare({
    nodes: nodesOf(`${toMap}y = AveragePool(plane; kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1)`),
    initializers,
  });
});
