import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { centerCrop, centerOffset, resize, roundHalfToEven } from '../../src/images/resample.js';
import type { Interpolation } from '../../src/images/resample.js';
import { golden, source } from './golden.js';
import type { Source } from './golden.js';

const anySize = fc.integer({ min: 1, max: 40 });
const anyFilter = fc.constantFrom<Interpolation>('bicubic', 'bilinear');
const anyImage = fc
  .record({
    width: anySize,
    height: anySize,
    kind: fc.constantFrom<Source['kind']>('noise', 'extremes'),
    seed: fc.nat(),
  })
  .map(source);

describe(`resize equals Pillow ${golden.pillow}`, () => {
  for (const { expected, ...one } of golden.resizes) {
    it(`${one.kind} ${one.width}×${one.height} to ${one.outWidth}×${one.outHeight}, ${one.interpolation}`, () => {
      const result = resize(source(one), one.outWidth, one.outHeight, one.interpolation);
      expect(result).toEqual({ data: expected, width: one.outWidth, height: one.outHeight });
    });
  }
});

describe('resize', () => {
  it('keeps a constant image constant', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 255 }),
        anySize,
        anySize,
        anySize,
        anySize,
        anyFilter,
        (value, w, h, w2, h2, filter) => {
          const flat = { data: new Uint8Array(3 * w * h).fill(value), width: w, height: h };
          expect(resize(flat, w2, h2, filter).data).toEqual(new Uint8Array(3 * w2 * h2).fill(value));
        },
      ),
    );
  });

  it('stays, with bilinear, within the range of its input', () => {
    fc.assert(
      fc.property(anyImage, fc.integer({ min: 0, max: 200 }), anySize, anySize, (image, low, w, h) => {
        const data = image.data.map((v) => low + (v % (256 - low)));
        const result = resize({ ...image, data }, w, h, 'bilinear').data;
        expect(Math.min(...result)).toBeGreaterThanOrEqual(Math.min(...data));
        expect(Math.max(...result)).toBeLessThanOrEqual(Math.max(...data));
      }),
    );
  });

  it('treats the three channels alike', () => {
    fc.assert(
      fc.property(anyImage, anySize, anySize, anyFilter, (image, w, h, filter) => {
        const swap = (d: Uint8Array) => d.map((_, i) => d[i - (i % 3) + (2 - (i % 3))]!);
        expect(resize({ ...image, data: swap(image.data) }, w, h, filter).data).toEqual(
          swap(resize(image, w, h, filter).data),
        );
      }),
    );
  });

  it('gives a window of the result as cutting it out afterwards does', () => {
    fc.assert(
      fc.property(anyImage, anySize, anySize, anyFilter, fc.nat(), fc.nat(), (image, w, h, filter, a, b) => {
        const whole = resize(image, w, h, filter);
        const cut = { width: 1 + (a % w), height: 1 + (b % h) };
        const window = { ...cut, left: centerOffset(w, cut.width), top: centerOffset(h, cut.height) };
        expect(resize(image, w, h, filter, window)).toEqual(centerCrop(whole, cut.width, cut.height));
      }),
    );
  });
});

describe('centerCrop', () => {
  it('rounds the margin half to even, as Python does', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((margin) => centerOffset(10 + margin, 10))).toEqual([0, 0, 1, 2, 2, 2, 3, 4]);
    expect([0.5, 1.5, 2.5, 2.4, 2.6, 3].map(roundHalfToEven)).toEqual([0, 2, 2, 2, 3, 3]);
  });

  it('cuts out the middle', () => {
    const image = source({ width: 7, height: 5, kind: 'noise', seed: 1 });
    const cropped = centerCrop(image, 4, 2);
    const pixel = (x: number, y: number) => [...image.data.subarray(3 * (y * 7 + x), 3 * (y * 7 + x) + 3)];
    expect([...cropped.data.subarray(0, 3)]).toEqual(pixel(2, 2));
    expect([...cropped.data.subarray(21, 24)]).toEqual(pixel(5, 3));
  });

  it('pads what is too small with black, the odd pixel behind', () => {
    const one = { data: Uint8Array.of(1, 2, 3), width: 1, height: 1 };
    const cropped = centerCrop(one, 4, 2);
    expect([...cropped.data]).toEqual([0, 0, 0, 1, 2, 3, ...new Array<number>(18).fill(0)]);
  });
});
