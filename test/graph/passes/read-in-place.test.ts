import { expect, test } from 'vitest';
import { importAndCompare } from '../../importer/idioms/stem.js';
import { ints, floats, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';

// 4 tokens of 8 channels; two heads of 8: queries, keys and values side by side in one layer. Scores are squared, so
// that no attention is recognised.
const initializers = {
  wide: random([8, 48], 5),
  parts: ints([1, 4, 3, 2, 8]),
  joined: ints([1, 4, 16]),
  half: floats([], [0.5]),
  three: ints([1, 1, 1]),
  axis: ints([0]),
};
const GRAPH = (q: string): string => `
  w = MatMul(x, wide)
  r = Reshape(w, parts)
  p = Transpose(r; perm=[2, 0, 3, 1, 4])
  q0, k0, v0 = Split(p, three; axis=0)
  q = Squeeze(q0, axis)
  k = Squeeze(k0, axis)
  v = Squeeze(v0, axis)
  ${q}
  kt = Transpose(k; perm=[0, 1, 3, 2])
  s = MatMul(scaled, kt)
  s2 = Mul(s, s)
  a = MatMul(s2, v)
  m = Transpose(a; perm=[0, 2, 1, 3])
  y = Reshape(m, joined)
`;

test('the factor of queries goes into their channels, and products read heads in the layer', async () => {
  const { nodes, graph } = await importAndCompare({ nodes: nodesOf(GRAPH('scaled = Mul(q, half)')), initializers });
  expect(nodes.filter(({ op }) => op === 'gather' || op === 'affine')).toEqual([]);
  expect(graph.nodes.find(({ op }) => op === 'matmul')).toBeDefined();
});

test('a factor of channels that something else reads stays where it is', async () => {
  const graph = GRAPH('scaled0 = Mul(q, half)\nscaled = Add(scaled0, q)').replace(
    'a = MatMul(s2, v)',
    'a = MatMul(s2, q)',
  );
  const { nodes } = await importAndCompare({ nodes: nodesOf(graph), initializers });
  expect(nodes.some(({ op }) => op === 'affine' || op === 'add')).toBe(true);
});
