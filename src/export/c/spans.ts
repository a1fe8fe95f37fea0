/** Packing of spans of memory that are wanted at different times. */
import { roundUp } from '../../engine/plan/memory.js';

/** Bytes wanted from stage `first` to stage `last`; within a single stage, from step `from` to step `to` of it. */
export interface Span {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
  readonly from: number;
  readonly to: number;
}

const meet = (a: Span, b: Span): boolean => a.first <= b.last && b.first <= a.last && a.from <= b.to && b.from <= a.to;

/**
 * Offsets such that spans whose times meet do not overlap. Each is put at the lowest place that is free, in the best of
 * a few orders.
 */
export function packSpans(spans: readonly Span[], align: number): { offsets: number[]; bytes: number } {
  const length = ({ first, last }: Span): number => last - first;
  const orders: ((a: Span, b: Span) => number)[] = [
    (a, b) => b.bytes - a.bytes,
    (a, b) => length(b) - length(a) || b.bytes - a.bytes,
    (a, b) => (length(b) + 1) * b.bytes - (length(a) + 1) * a.bytes,
    (a, b) => a.first - b.first || b.bytes - a.bytes,
  ];
  return orders.map((order) => pack(spans, order, align)).reduce((best, one) => (one.bytes < best.bytes ? one : best));
}

function pack(
  spans: readonly Span[],
  order: (a: Span, b: Span) => number,
  align: number,
): { offsets: number[]; bytes: number } {
  const offsets = new Array<number>(spans.length).fill(0);
  const placed: number[] = [];
  let bytes = 0;
  const ends = (i: number): number => offsets[i] + roundUp(spans[i].bytes, align);
  for (const i of spans.map((_, at) => at).sort((a, b) => order(spans[a], spans[b]))) {
    const taken = placed.filter((j) => meet(spans[i], spans[j])).sort((a, b) => offsets[a] - offsets[b]);
    let at = 0;
    for (const j of taken) {
      if (at + spans[i].bytes <= offsets[j]) break;
      at = Math.max(at, ends(j));
    }
    offsets[i] = at;
    placed.push(i);
    bytes = Math.max(bytes, ends(i));
  }
  return { offsets, bytes };
}
