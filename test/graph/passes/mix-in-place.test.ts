import { expect, test } from 'vitest';
import { importAndCompare, opsOf } from '../../importer/idioms/stem.js';
import { ints, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';

const initializers = {
  wide: random([8, 64], 5),
  maps: ints([1, 4, 4, 16]),
  joined: ints([1, 4, 64]),
  mix: random([4, 4], 6),
  bias: random([4], 7),
};

const MIXED = `
  t = Transpose(m; perm=[0, 2, 3, 1])
  l = MatMul(t, mix)
  b = Add(l, bias)
  n = Transpose(b; perm=[0, 3, 1, 2])
`;

const maps = `
  w = MatMul(x, wide)
  m = Reshape(w, maps)
  ${MIXED}
`;

test('heads are mixed where they lie', async () => {
  const { nodes } = await importAndCompare({ nodes: nodesOf(`${maps} y = Reshape(n, joined)`), initializers });
  const mix = nodes.find((node) => node.op === 'mixRows')!;
  expect(mix).toMatchObject({ taps: 4 });
  // Only rows of a map move, no single elements.
  for (const node of nodes) if (node.op === 'gather') expect(node.piece % 16).toBe(0);
});

test('what softmax reads needs no bias', async () => {
  const { nodes } = await importAndCompare({
    nodes: nodesOf(`${maps} s = Softmax(n; axis=-1)\nz = Mul(s, s)\ny = Reshape(z, joined)`),
    initializers,
  });
  expect(opsOf(nodes)).toContain('mixRows');
  expect(opsOf(nodes)).not.toContain('affine');
});

test('a layer whose output is read as it is stays one', async () => {
  const { nodes } = await importAndCompare({
    nodes: nodesOf(`${maps.replace(/n = .*/, '')} f = Relu(b)\ny = Reshape(f, joined)`),
    initializers,
  });
  expect(opsOf(nodes)).not.toContain('mixRows');
});
