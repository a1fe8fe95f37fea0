import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  applyLayout,
  coarsen,
  compose,
  concatenate,
  identityLayout,
  invert,
  isBijective,
  layoutSize,
  permute,
  refine,
  take,
  type Layout,
} from '../../src/graph/layout.js';

const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
const counting = (size: number): Float64Array => Float64Array.from({ length: size }, (_, i) => i + 1);
const sizeOf = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

/** The position of every element along every axis, row-major. */
function positions(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, dim) => all.flatMap((at) => Array.from({ length: dim }, (_, i) => [...at, i])),
    [[]],
  );
}

const flatten = (at: readonly number[], shape: readonly number[]): number =>
  at.reduce((flat, i, axis) => flat * shape[axis] + i, 0);

/** A rearrangement of `size` elements in pieces, some of them zeros. */
const layoutOf = (size: number): fc.Arbitrary<Layout> =>
  fc
    .constantFrom(...[1, 2, 3, 4, 6].filter((piece) => size % piece === 0))
    .chain((piece) =>
      fc
        .array(fc.integer({ min: -1, max: size / piece - 1 }), { minLength: 1, maxLength: 12 })
        .map((index) => ({ piece, index: Int32Array.from(index) })),
    );

describe('rearrangements', () => {
  test('permute is a transpose', () => {
    fc.assert(
      fc.property(
        shapes.chain((shape) =>
          fc.tuple(fc.constant(shape), fc.shuffledSubarray([...shape.keys()], { minLength: shape.length })),
        ),
        ([shape, perm]) => {
          const source = counting(sizeOf(shape));
          const target = perm.map((axis) => shape[axis]);
          const expected = positions(target).map((at) => {
            const from = new Array<number>(shape.length);
            perm.forEach((axis, i) => (from[axis] = at[i]));
            return source[flatten(from, shape)];
          });
          expect(Array.from(applyLayout(permute(shape, perm), source))).toEqual(expected);
        },
      ),
    );
  });

  test('take picks positions along axes, −1 standing for zeros', () => {
    const picked = shapes.chain((shape) =>
      fc.tuple(
        fc.constant(shape),
        fc.tuple(
          ...shape.map((dim) =>
            fc.option(fc.array(fc.integer({ min: -1, max: dim - 1 }), { minLength: 1, maxLength: 5 })),
          ),
        ),
      ),
    );
    fc.assert(
      fc.property(picked, ([shape, picks]) => {
        const source = counting(sizeOf(shape));
        const target = shape.map((dim, axis) => picks[axis]?.length ?? dim);
        const expected = positions(target).map((at) => {
          const from = at.map((i, axis) => picks[axis]?.[i] ?? i);
          return from.includes(-1) ? 0 : source[flatten(from, shape)];
        });
        expect(Array.from(applyLayout(take(shape, picks), source))).toEqual(expected);
      }),
    );
  });

  test('concatenate lays tensors side by side', () => {
    fc.assert(
      fc.property(
        shapes.chain((shape) =>
          fc.tuple(
            fc.constant(shape),
            fc.nat(shape.length - 1),
            fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
          ),
        ),
        ([shape, axis, lengths]) => {
          const parts = lengths.map((length) => shape.map((dim, i) => (i === axis ? length : dim)));
          const source = counting(parts.reduce((sum, part) => sum + sizeOf(part), 0));
          const target = shape.map((dim, i) => (i === axis ? lengths.reduce((sum, length) => sum + length, 0) : dim));
          const expected = positions(target).map((at) => {
            let part = 0;
            let within = at[axis];
            let start = 0;
            while (within >= lengths[part]) {
              within -= lengths[part];
              start += sizeOf(parts[part++]);
            }
            return source[
              start +
                flatten(
                  at.map((i, k) => (k === axis ? within : i)),
                  parts[part],
                )
            ];
          });
          expect(Array.from(applyLayout(concatenate(parts, axis), source))).toEqual(expected);
        },
      ),
    );
  });

  test('refine and coarsen change the pieces alone', () => {
    fc.assert(
      fc.property(layoutOf(24), (layout) => {
        const source = counting(24);
        const expected = applyLayout(layout, source);
        expect(applyLayout(refine(layout, 1), source)).toEqual(expected);
        const coarse = coarsen(refine(layout, 1), [24]);
        expect(applyLayout(coarse, source)).toEqual(expected);
        expect(24 % coarse.piece).toBe(0);
        expect(coarse.piece).toBeGreaterThanOrEqual(layout.piece);
      }),
    );
  });

  test('compose is one after the other, over several sources', () => {
    const setup = fc.tuple(layoutOf(12), layoutOf(24)).chain(([first, second]) => {
      const total = layoutSize(first) + layoutSize(second);
      const pieces = [1, 2].filter((piece) => layoutSize(first) % piece === 0 && layoutSize(second) % piece === 0);
      return fc.tuple(
        fc.constant(first),
        fc.constant(second),
        fc
          .constantFrom(...pieces)
          .chain((piece) =>
            fc
              .array(fc.integer({ min: -1, max: total / piece - 1 }), { minLength: 1, maxLength: 20 })
              .map((index) => ({ piece, index: Int32Array.from(index) })),
          ),
      );
    });
    fc.assert(
      fc.property(setup, ([first, second, outer]) => {
        // Final sources: A of 12 elements, B of 12; `first` reads A, `second` reads B and A.
        const [a, b] = [counting(12), counting(12).map((x) => x + 100)];
        const joined = Float64Array.from([
          ...applyLayout(first, a),
          ...applyLayout(second, Float64Array.from([...b, ...a])),
        ]);
        const composed = compose(outer, [
          { layout: first, sizes: [12], starts: [0] },
          { layout: second, sizes: [12, 12], starts: [12, 0] },
        ]);
        expect(applyLayout(composed, Float64Array.from([...a, ...b]))).toEqual(applyLayout(outer, joined));
      }),
    );
  });

  test('compose of one source, somewhere among the final ones, reads what the inner one reads', () => {
    const setup = layoutOf(24).chain((inner) =>
      fc.record({
        inner: fc.constant(inner),
        start: fc.constantFrom(0, 6, 12),
        outer: fc
          .array(fc.integer({ min: -1, max: layoutSize(inner) - 1 }), { minLength: 1, maxLength: 20 })
          .map((index) => ({ piece: 1, index: Int32Array.from(index) })),
      }),
    );
    fc.assert(
      fc.property(setup, ({ inner, start, outer }) => {
        const source = counting(24);
        const sources = Float64Array.from([...counting(start).map((x) => -1 - x), ...source]);
        const composed = compose(outer, [{ layout: inner, sizes: [24], starts: [start] }]);
        expect(applyLayout(composed, sources)).toEqual(applyLayout(outer, applyLayout(inner, source)));
      }),
    );
  });

  test('invert undoes a permutation', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...Array(8).keys()], { minLength: 8 }), (index) => {
        const layout = { piece: 3, index: Int32Array.from(index) };
        expect(isBijective(layout, 24)).toBe(true);
        expect(applyLayout(invert(layout), applyLayout(layout, counting(24)))).toEqual(counting(24));
      }),
    );
  });

  test('nothing, repeated or left out is no permutation', () => {
    expect(isBijective({ piece: 2, index: Int32Array.of(0, 0) }, 4)).toBe(false);
    expect(isBijective({ piece: 2, index: Int32Array.of(1, -1) }, 4)).toBe(false);
    expect(isBijective({ piece: 2, index: Int32Array.of(1) }, 4)).toBe(false);
    expect(layoutSize(identityLayout(0))).toBe(0);
  });

  test('impossible sizes are refused before memory is taken', () => {
    expect(() => take([2 ** 13, 2 ** 13, 2], [new Int32Array(2 ** 13), new Int32Array(2 ** 13), null])).toThrow(
      RangeError,
    );
  });
});
