/** Where every value lies. */
import { floorDivide } from '../../kernels/dyadic.js';
import { bytesOf } from '../../program/value.js';
import type { ValueSpec } from '../values.js';
import type { Join } from './joins.js';
import type { Place, Stage, Step, Work } from './types.js';

/** Alignment of values, and what may be read beyond their end, in bytes. */
export const ALIGN = 64;
export const SLACK = 64;

/** A span of memory wanted from time `first` to time `last`, both included. */
interface Span {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** A value that wants memory, or the scales of its rows. */
interface Entry {
  readonly id: number;
  readonly scale: boolean;
  readonly span: Span;
}

interface Layout {
  readonly values: readonly ValueSpec[];
  readonly steps: readonly Step[];
  readonly stages: readonly Stage[];
  /** The value in whose memory each value lies: what it is replaced by in place, else itself. */
  readonly placeOf: readonly number[];
}

/**
 * Places every value: in the arena where several stages see it, else in the memory of the thread that runs its stage.
 */
export function placeValues(
  work: Work,
  lowered: Omit<Layout, 'placeOf'>,
  joins: ReadonlyMap<number, Join>,
): { places: Place[]; arenaBytes: number; localBytes: number } {
  const { values, steps, stages } = lowered;
  const placeOf = values.map((_, id) => (joins.has(id) ? steps[joins.get(id)!.step].out : id));
  const layout = { ...lowered, placeOf };
  const { made, lastRead } = lifetimes(work, layout);
  const isConstant = new Set(steps.filter((step) => step.op?.op === 'constant').map((step) => step.out));

  const arena: Entry[] = [];
  const locals: number[][] = stages.map(() => []);
  values.forEach((spec, id) => {
    if (placeOf[id] !== id || isConstant.has(id) || (lastRead[id] < 0 && id >= work.inputs.length)) return;
    if (made[id] >= 0 && lastRead[id] === made[id]) locals[made[id]].push(id);
    else arena.push(...entriesOf(id, spec, spec.rows, { first: made[id], last: lastRead[id] }));
  });

  const places: Place[] = values.map(() => ({ place: 'constant', offset: 0, scaleOffset: 0 }));
  const put = (entries: readonly Entry[], place: Place['place']): number => {
    const { offsets, bytes } = packSpans(entries.map((entry) => entry.span));
    entries.forEach(({ id, scale }, i) => {
      places[id] = scale ? { ...places[id], scaleOffset: offsets[i] } : { ...places[id], place, offset: offsets[i] };
    });
    return bytes;
  };
  const arenaBytes = put(arena, 'arena');
  let localBytes = 0;
  stages.forEach(
    (stage, s) => (localBytes = Math.max(localBytes, put(localEntries(stage, locals[s], layout), 'local'))),
  );
  for (const id of joins.keys()) places[id] = places[placeOf[id]];
  return { places, arenaBytes, localBytes };
}

/** By value, the stage that makes it and the last one that reads it; −1: none. */
function lifetimes(work: Work, { values, steps, stages, placeOf }: Layout): { made: number[]; lastRead: number[] } {
  const made = new Array<number>(values.length).fill(-1);
  const lastRead = new Array<number>(values.length).fill(-1);
  stages.forEach((stage, s) => {
    for (const use of stage.uses) {
      const id = placeOf[steps[use.step].out];
      made[id] = made[id] < 0 ? s : made[id];
      for (const operand of steps[use.step].operands) lastRead[placeOf[operand]] = s;
    }
  });
  lastRead[placeOf[work.output]] = stages.length;
  return { made, lastRead };
}

/** The values that only live within a stage, a block of rows each; times are the places of its uses. */
function localEntries(stage: Stage, ids: readonly number[], { values, steps, placeOf }: Layout): Entry[] {
  const times = new Map(ids.map((id) => [id, { first: -1, last: -1 }]));
  stage.uses.forEach((use, at) => {
    const made = times.get(placeOf[steps[use.step].out]);
    if (made !== undefined && made.first < 0) made.first = at;
    for (const operand of steps[use.step].operands) {
      const read = times.get(placeOf[operand]);
      if (read !== undefined) read.last = at;
    }
  });
  return ids.flatMap((id) => entriesOf(id, values[id], Math.min(stage.blockRows, values[id].rows), times.get(id)!));
}

function entriesOf(id: number, { cols, out }: ValueSpec, rows: number, time: { first: number; last: number }): Entry[] {
  const own = { id, scale: false, span: { bytes: rows * cols * bytesOf(out.type), ...time } };
  if (out.type !== 'rows') return [own];
  return [own, { id, scale: true, span: { bytes: 4 * rows, ...time } }];
}

/**
 * Offsets such that spans whose times meet do not overlap: the largest first, each at the lowest place that is free.
 */
function packSpans(spans: readonly Span[]): { offsets: number[]; bytes: number } {
  const offsets = new Array<number>(spans.length).fill(0);
  const order = spans.map((_, i) => i).sort((a, b) => spans[b].bytes - spans[a].bytes);
  const sizeOf = (i: number): number => roundUp(spans[i].bytes + SLACK, ALIGN);
  const neighbours = new Neighbours(spans);
  let total = 0;
  for (const i of order) {
    let at = 0;
    const taken = neighbours.placedBeside(i);
    if (taken === null) at = total;
    else
      for (const j of taken.sort((a, b) => offsets[a] - offsets[b])) {
        if (at + sizeOf(i) <= offsets[j]) break;
        at = Math.max(at, offsets[j] + sizeOf(j));
      }
    offsets[i] = at;
    neighbours.place(i);
    total = Math.max(total, at + sizeOf(i));
  }
  return { offsets, bytes: total };
}

/** How many neighbours packing looks at for each span, on average, before it stops to reuse memory. */
const LOOKS = 512;

/**
 * Spans placed so far, by time. Each is entered at all of its times, and looked for at all of another's: in all that
 * may take so many looks a span, which keeps the work of packing linear; beyond, spans are laid end to end.
 */
class Neighbours {
  private readonly at = new Map<number, number[]>();
  private looks = 0;
  private readonly limit: number;
  private readonly seen: Int32Array;

  constructor(private readonly spans: readonly Span[]) {
    this.limit = LOOKS * Math.max(spans.length, LOOKS);
    this.seen = new Int32Array(spans.length).fill(-1);
  }

  /** Those whose times meet span i's; null: too many to look at. */
  placedBeside(i: number): number[] | null {
    const { first, last } = this.spans[i];
    const found: number[] = [];
    for (let time = first; time <= last; time++) {
      const here = this.at.get(time) ?? [];
      this.looks += 1 + here.length;
      if (this.looks > this.limit) return null;
      for (const j of here) {
        if (this.seen[j] === i) continue;
        this.seen[j] = i;
        found.push(j);
      }
    }
    return found;
  }

  place(i: number): void {
    const { first, last } = this.spans[i];
    if (this.looks > this.limit) return;
    this.looks += last - first;
    for (let time = first; time <= last; time++) {
      const here = this.at.get(time);
      if (here === undefined) this.at.set(time, [i]);
      else here.push(i);
    }
  }
}

export function roundUp(n: number, to: number): number {
  return floorDivide(n + to - 1, to) * to;
}
