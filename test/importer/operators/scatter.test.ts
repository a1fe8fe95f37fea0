import { expect, test } from 'vitest';
import { floats, ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, TOKENS } from '../idioms/stem.js';

const initializers = {
  columns: ints([3, -1, 0, 2, 3, 3, 1, 0], [1, TOKENS, 2]),
  twice: ints([0, 0, 2, 1, 1, 2, 3, 3], [1, TOKENS, 2]),
  updates: random([1, TOKENS, 2], 7),
  places: ints([0, 2, 0, -1], [2, 2]),
  rows: random([2, CHANNELS], 8),
  ofBatch: ints([2, 1, 0, 3], [1, TOKENS, 1]),
  yes: { dims: [TOKENS], dataType: 9, rawData: Uint8Array.of(1, 0, 1, 1) },
};

test.each<[string, string]>([
  ['ScatterElements', 'y = ScatterElements(x, columns, updates; axis=2)'],
  ['ScatterElements of activations', 't = Slice(x, zero, two, axis)\ny = ScatterElements(x, columns, t; axis=2)'],
  ...['add', 'mul', 'max', 'min'].map((reduction): [string, string] => [
    `ScatterElements, ${reduction}, where places repeat`,
    `y = ScatterElements(x, twice, updates; axis=2, reduction="${reduction}")`,
  ]),
  ['ScatterND', 'y = ScatterND(x, places, rows)'],
  ['ScatterND, add', 'y = ScatterND(x, places, rows; reduction="add")'],
  ['GatherND', 'y = GatherND(x, places)'],
  ['GatherND with a batch', 'y = GatherND(x, ofBatch; batch_dims=1)'],
  ['GatherElements', 'y = GatherElements(x, columns; axis=2)'],
  ['Compress along an axis', 'y = Compress(x, yes; axis=1)'],
  ['Compress of all elements', 'y = Compress(x, yes)'],
  ['CenterCropPad', 'y = CenterCropPad(x, lengths; axes=[1, 2])'],
])('%s', async (_, steps) => {
  const { nodes } = await importAndCompare({
    nodes: nodesOf(steps),
    initializers: {
      ...initializers,
      zero: ints([0]),
      two: ints([2]),
      axis: ints([2]),
      lengths: ints([7, 5]),
    },
    opset: 18,
  });
  expect(nodes.length).toBeGreaterThan(0);
});

test('places that the image chooses are refused', async () => {
  await expect(
    importAndCompare({
      nodes: nodesOf('i = ArgMax(x; axis=2, keepdims=1)\ny = GatherElements(x, i; axis=2)'),
      initializers: { unused: floats([], [0]) },
    }),
  ).rejects.toThrow(/ArgMax.*depends on the image/);
});
