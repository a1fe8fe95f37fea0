import { describe, expect, test } from 'vitest';
import { decisiveness, isIndecisive } from '../../src/metrics/information.js';

const sure = (index: number) => Float32Array.from({ length: 4 }, (_, i) => (i === index ? 20 : 0));

describe('decisiveness', () => {
  test('of a model that is sure, and of different things', () => {
    const found = decisiveness([0, 1, 2, 3].map(sure));
    expect(found.confidence).toBeCloseTo(1, 6);
    expect(found.information).toBeCloseTo(Math.log(4), 5);
    expect(isIndecisive(found, 4, 4)).toBe(false);
  });

  test.each([
    ['always says the same', [sure(2), sure(2), sure(2), sure(2)]],
    ['is sure of nothing', [new Float32Array(4), new Float32Array(4), new Float32Array(4), new Float32Array(4)]],
  ])('of one that %s: no information', (_, logits) => {
    const found = decisiveness(logits);
    expect(found.information).toBeCloseTo(0, 9);
    expect(isIndecisive(found, 4, 4)).toBe(true);
  });
});
