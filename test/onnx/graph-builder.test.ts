import { expect, test } from 'vitest';
import { nodesOf } from './graph-builder.js';

test('inputs, outputs, attributes and domains', () => {
  const nodes = nodesOf(`
    q, k.v = Split(x, sizes; axis=-1, mode="a b", perm=[0, 2, 1], alpha=1e-5f)
    y = com.microsoft.FastGelu(q)
    z = Clip(y, , six)
    s = Constant(; value_int=3)
  `);
  expect(nodes).toEqual([
    {
      op: 'Split',
      in: ['x', 'sizes'],
      out: ['q', 'k.v'],
      attributes: { axis: -1, mode: 'a b', perm: [0, 2, 1], alpha: { float: 1e-5 } },
    },
    { op: 'FastGelu', domain: 'com.microsoft', in: ['q'], out: ['y'] },
    { op: 'Clip', in: ['y', '', 'six'], out: ['z'] },
    { op: 'Constant', in: [], out: ['s'], attributes: { value_int: 3 } },
  ]);
});

test.each(['Relu(x)', 'y = Relu x', 'y = Relu(x; )'])('%s is no node', (line) => {
  expect(() => nodesOf(line)).toThrow(SyntaxError);
});
