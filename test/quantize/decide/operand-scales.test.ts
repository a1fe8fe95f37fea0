import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChannelStatistics } from '../../../src/calibrate/statistics.js';
import type { AttentionNode, AttentionView } from '../../../src/graph/types.js';
import { QUANTIZED_LIMIT } from '../../../src/quantize/decide/encoding.js';
import { operandScales, viewColumn } from '../../../src/quantize/decide/operand-scales.js';

const DIM = 4;
const RANGE = { method: 'minmax', rangeMargins: [1], clipWeight: 0, centred: true } as const;

/**
 * Where a source of `columns` columns holds the heads of each token side by side, or (one head wide) below each other.
 */
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

interface Columns {
  readonly q: number;
  readonly k: number;
  /** All heads read the one head of k. */
  readonly isOneKey?: boolean;
}

test.each<[string, (heads: number) => Columns]>([
  ['each head has its own columns', (heads: number) => ({ q: heads * DIM, k: heads * DIM })],
  ['a learned query, or norms per head: heads share columns of q', (heads: number) => ({ q: DIM, k: heads * DIM })],
  ['heads share columns of k', (heads: number) => ({ q: heads * DIM, k: DIM })],
  ['heads share columns of both', () => ({ q: DIM, k: DIM })],
  ['one head of k serves all', (heads: number) => ({ q: heads * DIM, k: DIM, isOneKey: true })],
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
        if (columns.isOneKey) Object.assign(node.k, { stride: DIM, headStride: 0 });
        const scales = operandScales(node, statistics, RANGE, true);
        for (let h = 0; h < heads; h++) {
          for (let c = 0; c < DIM; c++) {
            const q = scales.q.scale[viewColumn(node.q, columns.q, h, c)];
            const k = scales.k.scale[viewColumn(node.k, columns.k, h, c)];
            expect(q * k).toBeCloseTo(scales.product[h], 9);
            expect(rows.q[h * DIM + c] / q).toBeLessThanOrEqual(QUANTIZED_LIMIT + 1e-4);
            expect(rows.k[h * DIM + c] / k).toBeLessThanOrEqual(QUANTIZED_LIMIT + 1e-4);
          }
        }
      },
    ),
  );
});
