import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NOTHING_SENSITIVE } from '../../../src/quantize/decide/bit-widths.js';
import { chooseSensitive } from '../../../src/quantize/decide/choose-bits.js';
import type { Sensitivities } from '../../../src/quantize/decide/sensitivity.js';

describe('the choice', () => {
  const value = fc.record({
    error: fc.double({ min: 0, max: 1, noNaN: true }),
    macs: fc.integer({ min: 1, max: 1000 }),
    bytes: fc.integer({ min: 0, max: 1000 }),
  });
  const values = fc.array(value, { maxLength: 30 });
  const share = fc.double({ min: 0, max: 0.5, noNaN: true });
  const nothing: Omit<Sensitivities, 'widths'> = {
    inputs: new Map(),
    softmax: new Map(),
    weights: new Map(),
    otherWeights: 0,
    work: 0,
    weightBytes: 0,
  };

  it('keeps to the work allowed, and takes nothing that is not worth its work and its place in the file', () => {
    fc.assert(
      fc.property(
        values,
        values,
        values,
        fc.double({ min: 0, max: 10, noNaN: true }),
        share,
        (list, attentions, layers, otherWeights, most) => {
          const [inputs, softmax, weights] = [list, attentions, layers].map(
            (some) => new Map(some.map((of, i) => [`${i}`, of])),
          );
          const all = [...list, ...attentions, ...layers];
          const sum = (some: typeof all, of: 'error' | 'macs' | 'bytes'): number =>
            some.reduce((total, one) => total + one[of], 0);
          const [work, weightBytes] = [sum(all, 'macs') || 1, 2 * sum(all, 'bytes') || 1];
          const sensitive = chooseSensitive({ inputs, softmax, weights, otherWeights, work, weightBytes }, most);
          const picked = (ids: ReadonlySet<string>, from: typeof inputs) => [...ids].map((id) => from.get(id)!);
          const chosen = [
            ...picked(sensitive.inputs, inputs),
            ...picked(sensitive.softmax, softmax),
            ...picked(sensitive.weights, weights),
          ];
          expect(sum(chosen, 'macs')).toBeLessThanOrEqual(most * work);
          const whole = sum(all, 'error') + otherWeights;
          for (const { error, macs, bytes } of chosen)
            expect(error / whole).toBeGreaterThanOrEqual(0.333 * (macs / work + bytes / weightBytes / 2));
        },
      ),
    );
  });

  it('takes what disturbs most for its cost first, where it fits', () => {
    const inputs = new Map([
      ['large', { error: 0.6, macs: 100, bytes: 0 }],
      ['small', { error: 0.2, macs: 10, bytes: 0 }],
      ['dull', { error: 0.05, macs: 600, bytes: 0 }],
      ['other', { error: 0.5, macs: 90, bytes: 0 }],
    ]);
    const chosen = (otherWeights: number, most: number, more: Partial<Sensitivities> = {}): string[] => {
      const sensitive = chooseSensitive(
        { ...nothing, inputs, work: 800, weightBytes: 1000, otherWeights, ...more },
        most,
      );
      return [
        ...sensitive.inputs,
        ...[...sensitive.softmax].map((id) => `softmax of ${id}`),
        ...[...sensitive.weights].map((id) => `weights of ${id}`),
      ];
    };
    expect(chosen(1, 1)).toEqual(['small', 'large', 'other']);
    expect(chosen(1, 0.14)).toEqual(['small', 'large']);
    expect(chosen(1, 0.125), 'the next that fits').toEqual(['small', 'other']);
    expect(chosen(20, 1), 'beside a large error of weights').toEqual(['small']);
    expect(chosen(1, 0.01)).toEqual([]);
    expect(
      chosen(1, 0.15, { softmax: new Map([['small', { error: 0.6, macs: 20, bytes: 0 }]]) }),
      'of one work with inputs',
    ).toEqual(['small', 'other', 'softmax of small']);
    const weights = new Map([
      ['head', { error: 0.1, macs: 1, bytes: 100 }],
      ['class token', { error: 0.01, macs: 1, bytes: 100 }],
    ]);
    expect(chosen(1, 0.14, { weights }), 'of no work to speak of').toEqual(['small', 'large', 'weights of head']);
    expect(chosen(10, 1, { weights }), 'not worth the place in the file').toEqual(['small', 'large', 'other']);
    expect({ ...chooseSensitive(nothing, 0.5), weightBits: new Map() }).toEqual(NOTHING_SENSITIVE);
  });
});
