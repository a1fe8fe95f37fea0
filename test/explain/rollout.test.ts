import { describe, expect, test } from 'vitest';
import { attended, meanOfHeads, onPatches, rollOut } from '../../src/explain/rollout.js';
import { Random } from '../../src/images/random.js';

const TOKENS = 7;

/** Rows of random weights that sum to 1. */
function randomMap(seed: number, heads: number) {
  const random = new Random(seed);
  const weights = new Float32Array(heads * TOKENS * TOKENS);
  for (let row = 0; row < heads * TOKENS; row++) {
    const values = Array.from({ length: TOKENS }, () => random.between(0.1, 1));
    const sum = values.reduce((a, b) => a + b);
    values.forEach((value, i) => (weights[row * TOKENS + i] = value / sum));
  }
  return { heads, tokens: TOKENS, weights };
}

/** The whole product Â_L·…·Â_1, as the paper writes it. */
function product(blocks: readonly Float32Array[]): number[][] {
  let all = Array.from({ length: TOKENS }, (_, i) => Array.from({ length: TOKENS }, (_, j) => Number(i === j)));
  for (const weights of blocks) {
    const block = all.map((_, i) => all.map((_, j) => (weights[i * TOKENS + j] + Number(i === j)) / 2));
    all = block.map((row) => all[0].map((_, j) => row.reduce((sum, value, k) => sum + value * all[k][j], 0)));
  }
  return all;
}

describe('rollOut', () => {
  const blocks = [1, 2, 3].map((seed) => meanOfHeads(randomMap(seed, 2)));

  test('is a row of the product of all blocks', () => {
    const all = product(blocks);
    for (const reader of [0, 4]) {
      const flow = rollOut(blocks, TOKENS, reader);
      flow.forEach((share, token) => expect(share).toBeCloseTo(all[reader][token], 6));
    }
  });

  test('shares sum to 1, and without a token that is read are the mean of its rows', () => {
    const pooled = rollOut(blocks, TOKENS, null);
    expect(pooled.reduce((a, b) => a + b)).toBeCloseTo(1, 6);
    const rows = Array.from({ length: TOKENS }, (_, reader) => rollOut(blocks, TOKENS, reader));
    pooled.forEach((share, token) =>
      expect(share).toBeCloseTo(rows.reduce((sum, row) => sum + row[token], 0) / TOKENS, 6),
    );
  });
});

test('what lies on other tokens is left out of the patches', () => {
  const map = randomMap(5, 1);
  const patches = onPatches(attended(map, 0, 2), Int32Array.of(-1, 1, 0, 2, 3, -1, 4));
  const row = map.weights.subarray(2 * TOKENS, 3 * TOKENS);
  expect([...patches]).toEqual([row[2], row[1], row[3], row[4], row[6]]);
});
