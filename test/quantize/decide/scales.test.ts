import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChannelStatistics } from '../../../src/calibrate/statistics.js';
import type { AttentionNode, AttentionView } from '../../../src/graph/types.js';
import { CODE_LIMIT, chooseRanges, operandScales, reachOf, viewColumn } from '../../../src/quantize/decide/scales.js';

const DIM = 4;
const RANGE = { method: 'minmax', headRooms: [1], clipWeight: 0, centred: true } as const;

/** Where a source of `columns` columns holds the heads of each token side by side, or (one head wide) below each other. */
const view = (source: string, heads: number): AttentionView => ({
  source,
  stride: heads * DIM,
  rows: null,
  offset: 0,
  headStride: DIM,
});

function attention(heads: number): AttentionNode {
  return {
    op: 'attention',
    id: 'a',
    name: 'a',
    rows: 1,
    cols: heads * DIM,
    q: view('q', heads),
    k: view('k', heads),
    v: view('v', heads),
    batch: 1,
    heads,
    queries: 1,
    keys: 1,
    dim: DIM,
    valueDim: DIM,
    scale: new Float32Array(heads).fill(1),
    bias: null,
    biasBatch: 1,
    biasHeads: 1,
  };
}

function seen(values: readonly number[], columns: number): ChannelStatistics {
  const statistics = new ChannelStatistics(columns, false);
  statistics.observe(Float32Array.from(values));
  return statistics;
}

test.each([
  ['each head has its own columns', (heads: number) => ({ q: heads * DIM, k: heads * DIM })],
  ['a learned query, or norms per head: heads share columns of q', (heads: number) => ({ q: DIM, k: heads * DIM })],
  ['heads share columns of k', (heads: number) => ({ q: heads * DIM, k: DIM })],
  ['heads share columns of both', () => ({ q: DIM, k: DIM })],
])('%s: in every channel of a head the scales of q and k have its product, and reach all values', (_, columnsOf) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3 }),
      fc.infiniteStream(fc.double({ min: 0.01, max: 9, noNaN: true })),
      (heads, stream) => {
        const columns = columnsOf(heads);
        const draw = (count: number) => Array.from({ length: count }, () => stream.next().value as number);
        // Tokens of one head's row each, and their negatives: ranges are symmetric.
        const rows = { q: draw(heads * DIM), k: draw(heads * DIM), v: draw(heads * DIM) };
        const statistics = new Map([
          ['q', seen([...rows.q, ...rows.q.map((v) => -v)], columns.q)],
          ['k', seen([...rows.k, ...rows.k.map((v) => -v)], columns.k)],
          ['v', seen(rows.v, heads * DIM)],
        ]);
        const node = attention(heads);
        const scales = operandScales(node, statistics, RANGE, true);
        for (let h = 0; h < heads; h++) {
          for (let c = 0; c < DIM; c++) {
            const q = scales.q.scale[viewColumn(node.q, columns.q, h, c)];
            const k = scales.k.scale[viewColumn(node.k, columns.k, h, c)];
            expect(q * k).toBeCloseTo(scales.product[h], 9);
            expect(rows.q[h * DIM + c] / q).toBeLessThanOrEqual(CODE_LIMIT + 1e-4);
            expect(rows.k[h * DIM + c] / k).toBeLessThanOrEqual(CODE_LIMIT + 1e-4);
          }
        }
      },
    ),
  );
});

describe('ranges of codes', () => {
  const C = 8;
  /** As many images as channels; in each, one channel of its own reaches four times as far as in all others. */
  const statistics = new ChannelStatistics(C, false);
  for (let i = 0; i < C; i++)
    statistics.observe(Float32Array.from({ length: 2 * C }, (_, k) => (k < C ? 1 : -1) * (k % C === i ? 4 : 1)));
  const weight = new Float32Array(C).fill(1);
  const choose = (clipWeight: number) =>
    chooseRanges(statistics, reachOf(statistics, 'minmax', null, false), weight, 127, {
      method: 'minmax',
      headRooms: [1, 2, 4],
      clipWeight,
      centred: true,
    });

  test('are as observed where clipping on unseen images does not count', () => {
    const { half, middle, headRoom } = choose(0);
    expect(headRoom).toBe(1);
    for (const h of half) expect(h).toBeCloseTo(4, 9);
    expect(Math.max(...middle.map(Math.abs))).toBeLessThan(1e-12);
  });

  test('have room where every image reaches farther than the others in some channel', () => {
    const { half, strength, headRoom } = choose(1e6);
    // Without the image that reaches farthest a channel's range is 1, the tensor's 4.
    expect(headRoom * 1 ** strength * 4 ** (1 - strength)).toBeGreaterThanOrEqual(4);
    for (const h of half) expect(h).toBeGreaterThanOrEqual(4);
  });

  test('follow a centre that is given, as far to either side', () => {
    const center = new Float64Array(C).fill(1);
    const reach = reachOf(statistics, 'minmax', center, true);
    expect([...reach.above]).toEqual([...reach.below]);
    expect([...reach.above]).toEqual(new Array(C).fill(5));
    expect([
      ...chooseRanges(statistics, reach, weight, 127, {
        method: 'minmax',
        headRooms: [1],
        clipWeight: 0,
        centred: true,
      }).middle,
    ]).toEqual([...center]);
  });
});
