import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random, sample } from '../../src/images/random.js';

describe('Random', () => {
  it('is xoshiro128**', () => {
    // From the state 1, 2, 3, 4 the published C code gives these.
    const random = new Random(0);
    Object.assign(random, { a: 1, b: 2, c: 3, d: 4 });
    expect([random.uint32(), random.uint32(), random.uint32(), random.uint32()]).toEqual([11520, 0, 5927040, 70819200]);
  });

  it('repeats for a seed, and differs between seeds', () => {
    const draw = (seed: number) =>
      Array.from(
        { length: 8 },
        (
          (random) => () =>
            random.uint32()
        )(new Random(seed)),
      );
    expect(draw(5)).toEqual(draw(5));
    expect(new Set([0, 1, 2, 3, -1].flatMap(draw)).size).toBe(40);
  });

  it('has the moments of its distributions', () => {
    const random = new Random(1);
    const moments = (next: () => number) => {
      const values = Array.from({ length: 20000 }, next);
      const mean = values.reduce((a, b) => a + b) / values.length;
      return { mean, variance: values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length };
    };
    const uniform = moments(() => random.between(2, 4));
    expect(uniform.mean).toBeCloseTo(3, 1);
    expect(uniform.variance).toBeCloseTo(4 / 12, 1);
    const normal = moments(() => random.normal());
    expect(normal.mean).toBeCloseTo(0, 1);
    expect(normal.variance).toBeCloseTo(1, 1);
  });

  it('draws every integer below the count, and no other', () => {
    const random = new Random(2);
    expect(new Set(Array.from({ length: 500 }, () => random.integer(7)))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
  });
});

describe('sample', () => {
  it('draws distinct items, all of them when asked for more, and leaves the list alone', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(), { maxLength: 40 }), fc.nat(50), fc.integer(), (items, count, seed) => {
        const before = [...items];
        const drawn = sample(items, count, seed);
        expect(items).toEqual(before);
        expect(drawn).toHaveLength(Math.min(count, items.length));
        expect(new Set(drawn).size).toBe(drawn.length);
        expect(drawn.every((item) => items.includes(item))).toBe(true);
        expect(sample(items, count, seed)).toEqual(drawn);
      }),
    );
  });

  it('gives every item the same chance at every place', () => {
    const counts = new Array<number>(25).fill(0);
    for (let seed = 0; seed < 5000; seed++)
      sample([0, 1, 2, 3, 4], 5, seed).forEach((item, place) => counts[5 * place + item]!++);
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
