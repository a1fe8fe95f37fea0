import { describe, expect, test } from 'vitest';
import { UnsupportedModelError } from '../../../src/importer/index.js';
import { ints } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf } from '../idioms/stem.js';

const initializers = {
  two: ints([2], []),
  three: ints([3], []),
  sizes: ints([3, 4, 1]),
  zero: ints([0], []),
  one: ints([1], []),
  last: ints([-1], []),
};

describe('lists of tensors', () => {
  test.each([
    ['parts of one size', 's = SplitToSequence(x, two; axis=2)\na = SequenceAt(s, one)\ny = Tanh(a)'],
    ['a last part that is smaller', 's = SplitToSequence(x, three; axis=-1)\na = SequenceAt(s, last)\ny = Tanh(a)'],
    ['parts of given sizes', 's = SplitToSequence(x, sizes; axis=2)\na = SequenceAt(s, one)\ny = Tanh(a)'],
    ['parts without their axis', 's = SplitToSequence(x; axis=1, keepdims=0)\na = SequenceAt(s, two)\ny = Tanh(a)'],
    ['a list that is joined', 'a = Tanh(x)\ns = SequenceConstruct(a, x)\ny = ConcatFromSequence(s; axis=1)'],
    [
      'a list that is stacked',
      'a = Tanh(x)\ns = SequenceConstruct(a, x)\ny = ConcatFromSequence(s; axis=1, new_axis=1)',
    ],
    [
      'insertion and removal',
      `e = SequenceEmpty()
       t = Tanh(x)
       a = SequenceInsert(e, x)
       b = SequenceInsert(a, t, zero)
       s = SequenceErase(b, last)
       y = ConcatFromSequence(s; axis=1)`,
    ],
    [
      'the length of a list',
      `s = SplitToSequence(x, two; axis=2)
       n = SequenceLength(s)
       f = Cast(n; to=1)
       t = Tanh(x)
       y = Mul(t, f)`,
    ],
  ])('%s', async (_, steps) => {
    const { nodes } = await importAndCompare({ nodes: nodesOf(steps), initializers });
    expect(opsOf(nodes)).toContain('lookup');
  });

  test('a place outside of the list is refused', async () => {
    const steps = 's = SplitToSequence(x, two; axis=2)\na = SequenceAt(s, far)\ny = Tanh(a)';
    const wrong = importAndCompare({
      nodes: nodesOf(steps),
      initializers: { ...initializers, far: ints([CHANNELS], []) },
    });
    await expect(wrong).rejects.toThrow(/position 8 lies outside a sequence of 4/);
  });

  test('a list is no operand', async () => {
    const steps = 's = SplitToSequence(x, two; axis=2)\ny = Tanh(s)';
    await expect(importAndCompare({ nodes: nodesOf(steps), initializers })).rejects.toThrow(UnsupportedModelError);
  });
});
