/** Scales of attention's operands. */
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import type { AttentionNode, AttentionView } from '../../graph/types.js';
import { QUANTIZED_LIMIT, uniformScales, type ChannelScales } from './encoding.js';
import { channelRange, type RangeMethod } from './ranges.js';
import { leastBy, raiseDead, reachOf, tensorScale, type RangeOptions, type Reach } from './reach.js';

/** Scales of one attention's operands, by column of the value each is read from. */
export interface OperandScales {
  readonly q: ChannelScales;
  readonly k: ChannelScales;
  readonly v: ChannelScales;
  /** s_q·s_k of each head. */
  readonly product: Float64Array;
}

/**
 * The column of a view's source, of `columns` columns, that holds channel c of head h. Norms per head share columns.
 */
export const viewColumn = (view: AttentionView, columns: number, h: number, c: number): number =>
  (view.offset + h * view.headStride + c) % columns;

/**
 * Scales of q, k and v, per channel. Only the product σ of q's and k's scale must be the same for all channels of a
 * head: with the ranges A of q and B of k, s_q = √(σ·A/B) and s_k = √(σ·B/A) share what a channel has to spare evenly
 * between the two. A constant added to k adds the same to all scores of a query, which softmax ignores, so k is
 * centred; v is centred too, as Σ softmax = 1 hands its centre through to the output. σ, and v's range margin, are
 * chosen as `chooseRanges` does.
 */
export function operandScales(
  node: AttentionNode,
  statistics: ReadonlyMap<string, ChannelStatistics>,
  range: RangeOptions,
  /** False where the consumers take no centre back out of the output. */
  centreValues: boolean,
): OperandScales {
  const { method, centred } = range;
  const [qSeen, kSeen, vSeen] = [node.q, node.k, node.v].map((view) => statistics.get(view.source)!);
  const q = reachOf(qSeen, method, new Float64Array(qSeen.channels), true);
  const k = reachOf(kSeen, method, centred ? middles(kSeen, method) : new Float64Array(kSeen.channels), true);
  const v = reachOf(
    vSeen,
    method,
    centred && centreValues ? middles(vSeen, method) : new Float64Array(vSeen.channels),
    true,
  );
  for (const reach of [q.above, k.above, v.above]) raiseDead(reach);
  const [qEnergy, kEnergy] = [energies(qSeen, q.center), energies(kSeen, k.center)];
  const blank = (C: number): ChannelScales => ({ scale: new Float64Array(C).fill(1), center: new Float64Array(C) });
  const scales: OperandScales = {
    q: blank(qSeen.channels),
    k: blank(kSeen.channels),
    v: blank(vSeen.channels),
    product: new Float64Array(node.heads),
  };
  const valueRoom = chooseValueRoom(node, vSeen, v, range);
  // Norms per head write all heads into the same columns, and heads may have keys in common: these columns then have
  // one scale, and so have the other operand's.
  const isShared = sharesColumns(node, node.q, qSeen.channels) || sharesColumns(node, node.k, kSeen.channels);
  if (isShared)
    for (const [view, reach] of [
      [node.q, q],
      [node.k, k],
    ] as const)
      shareAmongHeads(node, view, reach);
  const columns = Array.from({ length: node.heads }, (_, h) =>
    Array.from(
      { length: node.dim },
      (_, c) => [viewColumn(node.q, qSeen.channels, h, c), viewColumn(node.k, kSeen.channels, h, c)] as const,
    ),
  );
  const operands = { q, k, qEnergy, kEnergy };
  for (let h = 0; h < node.heads; h++) {
    const product = chooseProduct(isShared ? columns.flat() : columns[h], operands, qSeen.count, range);
    scales.product[h] = product;
    for (const [qc, kc] of columns[h]) {
      scales.q.scale[qc] = Math.sqrt((product * q.above[qc]) / k.above[kc]);
      scales.k.scale[kc] = Math.sqrt((product * k.above[kc]) / q.above[qc]);
      scales.k.center[kc] = k.center[kc];
    }
    for (let c = 0; c < node.valueDim; c++) {
      const vc = viewColumn(node.v, vSeen.channels, h, c);
      scales.v.scale[vc] = (valueRoom * v.above[vc]) / QUANTIZED_LIMIT;
      scales.v.center[vc] = v.center[vc];
    }
  }
  return scales;
}

/** q, k and v with the scale of the tensor that each is read from. */
export function tensorOperandScales(
  node: AttentionNode,
  statistics: ReadonlyMap<string, ChannelStatistics>,
  range: RangeOptions,
): OperandScales {
  const uniform = ({ source }: AttentionView): ChannelScales => {
    const observed = statistics.get(source)!;
    return uniformScales(observed.channels, tensorScale(observed, range));
  };
  const [q, k, v] = [uniform(node.q), uniform(node.k), uniform(node.v)];
  return { q, k, v, product: new Float64Array(node.heads).fill(q.scale[0] * k.scale[0]) };
}

/** Whether some of the heads read the same columns. */
const sharesColumns = (
  { heads, dim }: AttentionNode,
  { stride, headStride }: AttentionView,
  columns: number,
): boolean => stride > columns || (heads > 1 && headStride < dim);

/** Makes a channel reach equally far in every head. */
function shareAmongHeads(node: AttentionNode, view: AttentionView, { center, ...reach }: Reach): void {
  for (const side of Object.values(reach)) {
    for (let c = 0; c < node.dim; c++) {
      const columns = Array.from({ length: node.heads }, (_, h) => viewColumn(view, center.length, h, c));
      const most = columns.reduce((a, column) => Math.max(a, side[column]), 0);
      for (const column of columns) side[column] = most;
    }
  }
}

/** The middle of each channel's range. */
function middles(statistics: ChannelStatistics, method: RangeMethod): Float64Array {
  return Float64Array.from({ length: statistics.channels }, (_, c) => {
    const { lo, hi } = channelRange(statistics, c, method);
    return (lo + hi) / 2;
  });
}

/** Mean squares about a centre. */
function energies(statistics: ChannelStatistics, center: Float64Array): Float64Array {
  const { sum, sumOfSquares, count } = statistics;
  return center.map((t, c) => sumOfSquares[c] / count - (2 * t * sum[c]) / count + t * t);
}

/** What a channel of reach `seen`, `next` without the farthest image, is clipped by at a limit, squared. */
function clipped(seen: number, next: number, limit: number): number {
  return Math.max(0, seen - (limit * next) / seen) ** 2;
}

/** The range margin of v with the least error. */
function chooseValueRoom(
  node: AttentionNode,
  { channels, count }: ChannelStatistics,
  { above, aboveNext }: Reach,
  { rangeMargins, clipWeight }: RangeOptions,
): number {
  const columns = new Set<number>();
  for (let h = 0; h < node.heads; h++)
    for (let c = 0; c < node.valueDim; c++) columns.add(viewColumn(node.v, channels, h, c));
  return leastBy(rangeMargins, (margin) => {
    let error = 0;
    for (const c of columns) {
      const limit = margin * above[c];
      error += (limit / QUANTIZED_LIMIT) ** 2 / 12 + (clipWeight * clipped(above[c], aboveNext[c], limit)) / count;
    }
    return error;
  });
}

/** What q and k of an attention reach, and their mean squares, per channel. */
interface ScoreOperands {
  readonly q: Reach;
  readonly k: Reach;
  readonly qEnergy: Float64Array;
  readonly kEnergy: Float64Array;
}

/** σ of a head with the least error of its scores, which `count` rows of q and k were seen of. */
function chooseProduct(
  channels: readonly (readonly [q: number, k: number])[],
  { q, k, qEnergy, kEnergy }: ScoreOperands,
  count: number,
  { rangeMargins, clipWeight }: RangeOptions,
): number {
  const largest = channels.reduce(
    (most, [qc, kc]) => Math.max(most, (q.above[qc] * k.above[kc]) / QUANTIZED_LIMIT ** 2),
    0,
  );
  const room = leastBy(rangeMargins, (margin) => {
    const product = margin ** 2 * largest;
    let error = 0;
    for (const [qc, kc] of channels) {
      const [qs, ks] = [
        Math.sqrt((product * q.above[qc]) / k.above[kc]),
        Math.sqrt((product * k.above[kc]) / q.above[qc]),
      ];
      error += (qs * qs * kEnergy[kc] + ks * ks * qEnergy[qc]) / 12;
      error +=
        (clipWeight / count) *
        (clipped(q.above[qc], q.aboveNext[qc], QUANTIZED_LIMIT * qs) * kEnergy[kc] +
          clipped(k.above[kc], k.aboveNext[kc], QUANTIZED_LIMIT * ks) * qEnergy[qc]);
    }
    return error;
  });
  return room ** 2 * largest;
}

/**
 * The column of the values that column c of an attention's output is a weighted mean of; their source has `columns`.
 */
export function attentionColumn({ v, valueDim }: AttentionNode, columns: number, c: number): number {
  return viewColumn(v, columns, Math.floor(c / valueDim), c % valueDim);
}
