import { expect, test } from 'vitest';
import type { AttentionNode } from '../../../src/importer/index.js';
import { floats, ints, random } from '../../onnx/build.js';
import { compareOnMap, MAP_CHANNELS } from './map-stem.js';

/** So many heads that 64 tokens have as many scores as are too many to be written down. */
const HEADS = 256;
const DIM = 2;
const initializers = {
  'qkv.weight': random([MAP_CHANNELS, 3 * HEADS * DIM], 5),
  'table.rows': random([8, DIM, 8], 6),
  'table.columns': random([8, DIM, 8], 7),
  scale: floats([], [0.3]),
  'of.tokens': ints([1, MAP_CHANNELS, 64]),
  'split.qkv': ints([1, 64, 3, HEADS, DIM]),
  'q.map': ints([HEADS, 8, 8, DIM]),
  'of.rows': ints([HEADS, 8, 8, 8, 1]),
  'of.columns': ints([HEADS, 8, 8, 1, 8]),
  'of.apart': ints([HEADS, 8, 8, 8, 8]),
  'of.scores': ints([1, HEADS, 64, 64]),
  merged: ints([1, 64, HEADS * DIM]),
  zero: ints([0], []),
  one: ints([1], []),
  two: ints([2], []),
};

/** Positions as SAM has them: q times a table of its row, and of its column, for each row and column of the keys. */
const before = `
  pixels.last = Reshape(m, of.tokens)
  rowsOf = Transpose(pixels.last; perm=[0, 2, 1])
  all = MatMul(rowsOf, qkv.weight)
  r = Reshape(all, split.qkv)
  t = Transpose(r; perm=[2, 0, 3, 1, 4])
  q = Gather(t, zero; axis=0)
  k = Gather(t, one; axis=0)
  v = Gather(t, two; axis=0)
  qMap = Reshape(q, q.map)
  down = MatMul(qMap, table.rows)
  qAcross = Transpose(qMap; perm=[0, 2, 1, 3])
  acrossT = MatMul(qAcross, table.columns)
  across = Transpose(acrossT; perm=[0, 2, 1, 3])
  rows = Reshape(down, of.rows)
  columns = Reshape(across, of.columns)
  kT = Transpose(k; perm=[0, 1, 3, 2])
  product = MatMul(q, kT)
`;
const after = `
  p = Softmax(s; axis=-1)
  o = MatMul(p, v)
  oT = Transpose(o; perm=[0, 2, 1, 3])
  y = Reshape(oT, merged)
`;

test.each([
  [
    'added to each other, then to the scores',
    `
      scaled = Mul(product, scale)
      sum = Add(rows, columns)
      bias = Reshape(sum, of.scores)
      s = Add(scaled, bias)
    `,
  ],
  [
    'added to the scores one by one, and scaled with them',
    `
      wide = Reshape(product, of.apart)
      first = Add(wide, rows)
      second = Add(first, columns)
      back = Reshape(second, of.scores)
      s = Mul(back, scale)
    `,
  ],
])('positions that the image decides become channels of q and k: %s', async (_, between) => {
  const { nodes } = await compareOnMap({ steps: before + between + after, initializers });
  expect(nodes.some(({ op }) => op === 'softmax')).toBe(false);
  const found = nodes.filter((node): node is AttentionNode => node.op === 'attention');
  expect(found.map(({ heads, queries, dim, valueDim }) => [heads, queries, dim, valueDim])).toEqual([
    [HEADS, 64, DIM + 8 + 8, DIM],
  ]);
});
