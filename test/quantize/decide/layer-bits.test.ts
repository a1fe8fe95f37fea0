import { expect, test } from 'vitest';
import { askedBits, checkLayerBits, matchesGlob } from '../../../src/quantize/decide/layer-bits.js';
import { InputError } from '../../../src/errors.js';
import { tinyGraph } from '../../cli/ivit.js';

test('a star stands for any characters, everything else for itself', () => {
  expect(matchesGlob('blocks.3.fc1', 'blocks.*.fc1')).toBe(true);
  expect(matchesGlob('blocks.3.fc1', 'blocks.3')).toBe(false);
  expect(matchesGlob('blocksx3', 'blocks.3')).toBe(false);
  expect(matchesGlob('a/b(c)', '*(c)')).toBe(true);
  expect(matchesGlob('', '*')).toBe(true);
});

test('the last pattern that matches counts', () => {
  const layerBits = [
    { pattern: '*', bits: 16 },
    { pattern: 'fc*', bits: 8 },
  ] as const;
  expect(askedBits('head', layerBits)).toBe(16);
  expect(askedBits('fc1', layerBits)).toBe(8);
  expect(askedBits('head', [])).toBe(undefined);
});

test('a pattern that matches no linear layer is refused, with the nearest names', () => {
  const graph = tinyGraph(1);
  checkLayerBits(graph, [{ pattern: 'fc*', bits: 16 }], ['linear']);
  expect(() => checkLayerBits(graph, [{ pattern: 'fcl', bits: 16 }], ['linear'])).toThrow(
    /^No linear layer is named fcl; nearest are fc1, fc2, /,
  );
  expect(() => checkLayerBits(graph, [{ pattern: 'patches', bits: 16 }], ['linear'])).toThrow(InputError);
});

test('a pattern with many * takes no time', () => {
  const name = 'a'.repeat(2000);
  expect(matchesGlob(name, `${'*a'.repeat(500)}*b`)).toBe(false);
  expect(matchesGlob(name, `${'*a'.repeat(500)}*`)).toBe(true);
  expect(matchesGlob('aba', 'ab*ba')).toBe(false);
});
