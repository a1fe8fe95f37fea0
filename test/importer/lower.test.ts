import { describe, expect, test } from 'vitest';
import { applyLayout } from '../../src/graph/layout.js';
import { Constant } from '../../src/importer/constant.js';
import { ExprBuilder } from '../../src/importer/expr-builder.js';
import type { Expr } from '../../src/importer/expr.js';
import { Lowerer } from '../../src/importer/lower.js';

const b = new ExprBuilder();
/** A tensor of shape [2, 3, 4] that counts its elements, as a canonical constant. */
const counting = (): Expr =>
  b.constant(
    Constant.of(
      [2, 3, 4],
      'float',
      Float32Array.from({ length: 24 }, (_, i) => i),
    ),
  );
const noLowerings = (): Lowerer => new Lowerer([]);

describe('operands', () => {
  test('that lie as they are read cost nothing', () => {
    const lowerer = noLowerings();
    const lowered = lowerer.lower(counting());
    const id = lowerer.inOrder(lowered, 4, counting());
    expect(lowerer.whole(lowered)).toBe(id);
    expect(lowerer.nodes.map(({ op }) => op)).toEqual(['constant']);
  });

  test('in another order are read as they lie where rows are alike', () => {
    const lowerer = noLowerings();
    const x = counting();
    const turned = { piece: 4, index: Int32Array.of(0, 3, 1, 4, 2, 5) };
    const { rows, order } = lowerer.byRows(lowerer.rearranged(lowerer.lower(x), turned, [3, 2, 4]), 4, x);
    expect(rows).toBe(6);
    expect([...order.index]).toEqual([0, 3, 1, 4, 2, 5]);
    expect(lowerer.nodes).toHaveLength(1);
  });

  test('are gathered once where the order matters', () => {
    const lowerer = noLowerings();
    const x = counting();
    const layout = { piece: 4, index: Int32Array.of(5, 4, 3, 2, 1, 0) };
    const reversed = lowerer.rearranged(lowerer.lower(x), layout, [6, 4]);
    const first = lowerer.inOrder(reversed, 4, x);
    expect(lowerer.inOrder(reversed, 4, x)).toBe(first);
    const gather = lowerer.node(first);
    expect(lowerer.nodes.map(({ op }) => op)).toEqual(['constant', 'gather']);
    if (gather.op !== 'gather') throw new Error(gather.op);
    const data = Float32Array.from({ length: 24 }, (_, i) => i);
    expect([...applyLayout(gather, data)]).toEqual([...applyLayout(layout, data)]);
  });

  test('repeated along axes are what they are spread to', () => {
    const lowerer = noLowerings();
    const row = b.constant(Constant.of([1, 4], 'float', Float32Array.of(1, 2, 3, 4)));
    const spread = lowerer.broadcast(lowerer.lower(row), [3, 4]);
    expect([...applyLayout(spread.layout, Float32Array.of(1, 2, 3, 4))]).toEqual([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
  });
});

test('what no lowering knows is a problem with its reason, and the rest is looked at all the same', () => {
  const lowerer = noLowerings();
  const image = b.image([1, 3, 4, 4]);
  lowerer.lower(b.softmax(b.add(image, image)));
  lowerer.lower(b.scalarOp('tanh', image));
  expect(lowerer.problems.map(({ reason }) => reason)).toEqual([
    expect.stringMatching(/softmax/),
    expect.stringMatching(/tanh/),
  ]);
});
