import { expect, test } from 'vitest';
import { importAndCompare, opsOf } from '../../importer/idioms/stem.js';
import { ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';

// Four heads of 16 × 16 scores, mixed before a softmax and after it.
const initializers = {
  wide: random([8, 64], 5),
  maps: ints([1, 4, 4, 16]),
  swapped: ints([1, 4, 64]),
  before: random([4, 4], 6),
  after: random([4, 4], 7),
};
const mixed = (x: string, y: string, mix: string): string => `
  ${x}t = Transpose(${x}; perm=[0, 2, 3, 1])
  ${x}m = MatMul(${x}t, ${mix})
  ${y} = Transpose(${x}m; perm=[0, 3, 1, 2])
`;
const GRAPH = `
  w = MatMul(x, wide)
  f = Sigmoid(w)
  r = Reshape(f, maps)
  m = Transpose(r; perm=[0, 2, 1, 3])
  ${mixed('m', 'b', 'before')}
  s = Softmax(b; axis=-1)
  ${mixed('s', 'a', 'after')}
`;

test('heads stay where they are from one mix to the next, past a softmax', async () => {
  const { nodes } = await importAndCompare({
    nodes: nodesOf(`${GRAPH} o = Transpose(a; perm=[0, 2, 1, 3])\ny = Reshape(o, swapped)`),
    initializers,
  });
  const ops = opsOf(nodes);
  expect(ops.slice(ops.indexOf('mixRows'))).toEqual(['mixRows', 'softmax', 'mixRows', 'gather']);
});

test('a softmax that something else reads too stays where it is', async () => {
  const graph = `${GRAPH} z = Mul(a, s)\ny = Reshape(z, swapped)`;
  const { nodes } = await importAndCompare({ nodes: nodesOf(graph), initializers });
  expect(opsOf(nodes)).toContain('gather');
});
