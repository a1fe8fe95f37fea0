import { describe, expect, test } from 'vitest';
import { checkOutputNames } from '../../src/api/output-file.js';

const REALS = { reals: true };
const INTEGERS = { reals: false };

describe('outputs that a file cannot hold by their names', () => {
  test.each(['../up', 'a/../../up', '..', 'a\\..\\b', 'end\0ed', 'line\nend'])('%j leads out of an archive', (name) => {
    expect(() => checkOutputNames('a.npz', ['logits', name], REALS)).toThrow(/is no name in an archive/);
    expect(() => checkOutputNames('a.safetensors', ['logits', name], REALS)).not.toThrow();
  });

  test.each([
    [['images'], 'images'],
    [['a', 'a.scale'], 'a.scale'],
  ])('%j', (names, array) => {
    for (const file of ['a.npz', 'a.safetensors'])
      expect(() => checkOutputNames(file, names, INTEGERS)).toThrow(`two arrays would be called ${array};`);
  });

  test('names as exporters write them are taken', () => {
    const names = ['/head/Gemm_output_0', 'last_hidden_state', 'a..b', 'x.y', 'Größe'];
    expect(() => checkOutputNames('a.npz', names, INTEGERS)).not.toThrow();
    expect(() => checkOutputNames('a.npz', ['a', 'a.scale'], REALS)).not.toThrow();
  });
});
