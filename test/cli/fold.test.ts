import { expect, test } from 'vitest';
import { fold, rangeText } from '../../src/cli/fold.js';

const named = (...names: string[]) => names.map((name) => ({ name, op: name.replace(/.*[._]/, '') }));
const folded = (...names: string[]) =>
  fold(named(...names), ({ op }) => op).map(({ name, members }) => [name, members.length]);

test('blocks that are alike are one, with the numbers of the blocks', () => {
  expect(folded('stem', 'blocks.0.fc1', 'blocks.0.fc2', 'blocks.1.fc1', 'blocks.1.fc2', 'head')).toEqual([
    ['stem', 1],
    ['blocks.0-1.fc1', 2],
    ['blocks.0-1.fc2', 2],
    ['head', 1],
  ]);
});

test('what differs stays apart, and runs of numbers are named', () => {
  const layers = [0, 1, 2, 4].map((i) => ({ name: `layer.${i}.q`, bits: i === 1 ? 4 : 8 }));
  expect(fold(layers, ({ bits }) => String(bits)).map(({ name }) => name)).toEqual(['layer.0,2,4.q', 'layer.1.q']);
});

test('blocks fold within stages, then stages', () => {
  const stage = (s: number) => [0, 1].map((b) => `stages.${s}.blocks.${b}.fc`);
  expect(folded(...stage(0), ...stage(1), 'stages.2.blocks.0.fc')).toEqual([
    ['stages.0-1.blocks.0-1.fc', 4],
    ['stages.2.blocks.0.fc', 1],
  ]);
});

test('numbers that are part of a word are let be', () => {
  expect(folded('fc1', 'fc2', 'norm')).toEqual([
    ['fc1', 1],
    ['fc2', 1],
    ['norm', 1],
  ]);
});

test('ranges of numbers', () => {
  expect([rangeText([3, 3]), rangeText([22, null, 24]), rangeText([null])]).toEqual(['3', '22 to 24', '']);
});
