import { expect, test } from 'vitest';
import { nearestNames, someOf, suggestion } from '../src/names.js';

test('lists of names are shortened, but not by one', () => {
  expect(someOf(['a', 'b'])).toBe('a, b');
  expect(someOf(['a', 'b', 'c', 'd', 'e', 'f'])).toBe('a, b, c, d, e, f');
  expect(someOf(['a', 'b', 'c', 'd', 'e', 'f', 'g'])).toBe('a, b, c, d, e and 2 more');
});

test('what was meant', () => {
  const names = ['native', 'wasm', 'reference'];
  expect(suggestion('wsm', names)).toBe('; did you mean wasm?');
  expect(suggestion('WASM', names)).toBe('; did you mean wasm?');
  expect(suggestion('ref', names)).toBe('; did you mean reference?');
  expect(suggestion('gpu', names)).toBe('');
  expect(suggestion('', names)).toBe('');
  expect(nearestNames('blocks.0.fc', ['head', 'blocks.1.fc1', 'blocks.0.fc1'], 2)).toEqual([
    'blocks.0.fc1',
    'blocks.1.fc1',
  ]);
});
