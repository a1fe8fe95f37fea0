import { describe, expect, it } from 'vitest';
import { attendRow, normalizeSum, scaleScore, softmaxDither, softmaxWeight } from '../../src/kernels/attention.js';
import type { AttentionOp, OperandView } from '../../src/program/types.js';

describe('softmaxWeight', () => {
  it.each(['shift', 'quadratic'] as const)('%s: 255 at the maximum, halved for every octave', (kind) => {
    // (255·2^14 >> 1 = 255·2^13; + 2^13) >> 14 = 128; two octaves: (255 + 2)·2^12 >> 14 = 64
    expect([0, 256, 512].map((d) => softmaxWeight(d, 8, kind))).toEqual([255, 128, 64]);
  });

  it('follows its formulas at half an octave', () => {
    // r = 2^13: m = 2^14 − 2^12 = 12288; (255·12288 + 8192) >> 14 = 191
    expect(softmaxWeight(128, 8, 'shift')).toBe(191);
    // less ((2^26 >> 14)·2811 + 2^13) >> 14 = 703: m = 11585; (255·11585 + 8192) >> 14 = 180, and 255/√2 = 180.3
    expect(softmaxWeight(128, 8, 'quadratic')).toBe(180);
  });

  it.each([
    ['shift', 0.062],
    ['quadratic', 0.005],
  ] as const)('%s: falls with d, within %f of 255·2^−d', (kind, tolerance) => {
    for (let p = 8; p <= 11; p++) {
      let last = 255;
      for (let d = 0; d <= 20 << p; d++) {
        const w = softmaxWeight(d, p, kind);
        const exact = 255 * 2 ** (-d / 2 ** p);
        if (w > last || Math.abs(w - exact) > tolerance * exact + 0.55)
          expect({ p, d, w, last }).toEqual({ p, d, w: exact, last });
        last = w;
      }
      expect(last).toBe(0);
    }
  });

  it.each([
    ['shift', 0.062],
    ['quadratic', 0.005],
  ] as const)('%s, 12 bits: 4080 at the maximum, falls with d, within %f of 4080·2^−d', (kind, tolerance) => {
    for (let p = 8; p <= 11; p++) {
      let last = 16 * 255;
      expect(softmaxWeight(0, p, kind, 12)).toBe(last);
      for (let d = 0; d <= 20 << p; d++) {
        const w = softmaxWeight(d, p, kind, 12);
        const exact = 4080 * 2 ** (-d / 2 ** p);
        // m >> q is floored: up to a quarter of a step.
        if (w > last || Math.abs(w - exact) > tolerance * exact + 0.8)
          expect({ p, d, w, last }).toEqual({ p, d, w: exact, last });
        last = w;
      }
      expect(last).toBe(0);
    }
  });

  it('is 0 as far as scores can lie apart', () => {
    expect(softmaxWeight(2 ** 31, 11, 'shift')).toBe(0);
  });
});

describe('softmaxDither', () => {
  it('takes every value from −32 to 31 once in 64 successive keys, and in 64 successive queries', () => {
    const all = Array.from({ length: 64 }, (_, i) => i - 32);
    for (const start of [0, 1, 100]) {
      const along = (at: (i: number) => number) =>
        Array.from({ length: 64 }, (_, i) => at(start + i)).sort((a, b) => a - b);
      expect(along((j) => softmaxDither(5, j))).toEqual(all);
      expect(along((i) => softmaxDither(i, 9))).toEqual(all);
    }
  });

  it.each(['shift', 'quadratic'] as const)(
    '%s: weights are right on average, far below half a step as well; 0 and 255 stay',
    (kind) => {
      const p = 10;
      const mean = (d: number) =>
        Array.from({ length: 64 }, (_, j) => softmaxWeight(d, p, kind, 8, softmaxDither(0, j))).reduce(
          (a, b) => a + b,
        ) / 64;
      expect(mean(0)).toBe(255);
      expect(mean(15 << p)).toBe(0);
      // Whole octaves, where the exponential is exact: 255/2^q to within a step of the 64.
      for (let q = 1; q < 14; q++) expect(Math.abs(mean(q << p) - 255 / 2 ** q)).toBeLessThanOrEqual(1 / 64);
    },
  );
});

describe('scaleScore', () => {
  it('scales, adds the bias, and clamps both times', () => {
    expect(scaleScore(-40, 3, 4, 5)).toBe(-2); // (−120 + 8) >> 4 = −7
    expect(scaleScore(2 ** 30, 2 ** 30, 1, 2 ** 28)).toBe(2 ** 30);
    expect(scaleScore(2 ** 30, 2 ** 30, 1, -(2 ** 28))).toBe(2 ** 30 - 2 ** 28);
    expect(scaleScore(-(2 ** 30), 2 ** 30, 1, -1)).toBe(-(2 ** 30));
  });
});

describe('normalizeSum', () => {
  it('gives the mean in units of 2^−23', () => {
    // ⌊2^31/255⌋ = 8421504; (25500·8421504 + 128) >> 8 = 838860750, and 100·2^23 = 838860800
    expect(normalizeSum(25500, 255)).toBe(838860750);
    expect(normalizeSum(-25500, 255)).toBe(-838860750);
    // ⌊2^35/4080⌋ = 8421504; (408000·8421504 + 2^11) >> 12 = 838860750
    expect(normalizeSum(408000, 4080, 12)).toBe(838860750);
  });
});

describe('attendRow', () => {
  const view = (rows: number[] | null = null): OperandView => ({
    x: 1,
    stride: 1,
    rows: rows === null ? null : Int32Array.from(rows),
    offset: 0,
    headStride: 0,
  });
  const attention = (changes: Partial<AttentionOp> = {}): AttentionOp => ({
    op: 'attention',
    name: 'attention',
    rows: 1,
    cols: 1,
    out: { type: 'i32' },
    q: view(),
    k: view(),
    v: view(),
    batch: 1,
    heads: 1,
    queries: 1,
    keys: 2,
    dim: 1,
    valueDim: 1,
    softmax: 'shift',
    softmaxBits: 8,
    fractionBits: 8,
    scoreMultiplier: Int32Array.of(2),
    scoreShift: 1,
    bias: null,
    biasBatch: 1,
    biasHeads: 1,
    multiplier: Int32Array.of(1),
    shift: 1,
    ...changes,
  });
  const codes = { q: Int8Array.of(16), k: Int8Array.of(16, 0), v: Int8Array.of(100, -100) };
  const attend = (op: AttentionOp): number => {
    const out = new Int32Array(1);
    attendRow(op, codes, 0, 0, out);
    return out[0];
  };

  it('weighs the values by their keys', () => {
    // Scores 256 and 0, an octave apart: weights 255 and (255·(2^13 + 7) + 2^13) >> 14 = 128, of 383. ⌊2^31/383⌋ =
    // 5607006; ((255·100 − 128·100)·5607006 + 128) >> 8 = 278160063, and 12700/383·2^23 = 278160073
    expect(attend(attention())).toBe(278160063);
  });

  it('does so with 12-bit weights, none of them dithered', () => {
    // Weights 4080 and 2040, of 6120: ⌊2^35/6120⌋ = 5614336; ((408000 − 204000)·5614336 + 2^11) >> 12
    expect(attend(attention({ softmaxBits: 12 }))).toBe(Math.floor((204000 * 5614336 + 2048) / 4096));
  });

  it('adds the position bias to the score', () => {
    expect(attend(attention({ bias: Int32Array.of(0, 256) }))).toBe(0);
  });

  it('finds keys by row', () => {
    // Weights (255·(2^13 − 32) + 2^13) >> 14 = 127, for the dither of key 0 is −32, and 255: ⌊2^31/382⌋ = 5621684;
    // ((127·100 − 255·100)·5621684 + 128) >> 8, floored
    expect(attend(attention({ k: view([1, 0]) }))).toBe(-281084200);
  });
});
