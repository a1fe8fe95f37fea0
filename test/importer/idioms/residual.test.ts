import { describe, expect, test } from 'vitest';
import { ints } from '../../onnx/build.js';
import { chain, importAndCompare, opsOf } from './stem.js';

const initializers = { order: ints([2, 0, 3, 1]), first: ints([0]) };

describe('residual sums', () => {
  test('of two values in one order need no copy, whatever the order', async () => {
    const { nodes } = await importAndCompare({
      nodes: chain(
        ['Gather', ['x', 'order'], 'a', { axis: 1 }],
        ['Relu', ['a'], 'b'],
        ['Add', ['a', 'b'], 'c'],
        ['ReduceMean', ['c'], 'y', { axes: [1], keepdims: 0 }],
      ),
      initializers,
    });
    expect(opsOf(nodes).slice(0, 2)).toEqual(['activation', 'add']);
  });

  test('of values in different orders copy the one that is out of order', async () => {
    const { nodes } = await importAndCompare({
      nodes: chain(['Gather', ['x', 'order'], 'a', { axis: 1 }], ['Relu', ['a'], 'b'], ['Add', ['b', 'x'], 'y']),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['activation', 'gather', 'add']);
    expect(nodes.at(-1)).toMatchObject({ a: nodes[1].id });
  });

  test('broadcast along tokens', async () => {
    const { nodes } = await importAndCompare({
      nodes: chain(['Gather', ['x', 'first'], 'a', { axis: 1 }], ['Relu', ['x'], 'r'], ['Add', ['r', 'a'], 'y']),
      initializers,
    });
    expect(opsOf(nodes)).toContain('add');
  });
});
