import { describe, expect, test } from 'vitest';
import { ints } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { importAndCompare, opsOf } from './stem.js';

const initializers = { order: ints([2, 0, 3, 1]), first: ints([0]) };

describe('residual sums', () => {
  test('of two values in one order need no copy, whatever the order', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        a = Gather(x, order; axis=1)
        b = Relu(a)
        c = Add(a, b)
        y = ReduceMean(c; axes=[1], keepdims=0)
      `),
      initializers,
    });
    expect(opsOf(nodes).slice(0, 2)).toEqual(['activation', 'add']);
  });

  test('of values in different orders copy the one that is out of order', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        a = Gather(x, order; axis=1)
        b = Relu(a)
        y = Add(b, x)
      `),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(['activation', 'gather', 'add']);
    expect(nodes.at(-1)).toMatchObject({ a: nodes[1].id });
  });

  test('broadcast along tokens', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        a = Gather(x, first; axis=1)
        r = Relu(x)
        y = Add(r, a)
      `),
      initializers,
    });
    expect(opsOf(nodes)).toContain('add');
  });
});
