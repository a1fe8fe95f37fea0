/** Where every value of a program in C lies. */
import { roundUp } from '../../engine/plan/memory.js';
import { isRowLocal } from '../../engine/plan/uses.js';
import { bytesOf } from '../../program/value.js';
import { aliasesOf, keptBytes, scratchBytes } from './ops/index.js';
import { packSpans, type Span } from './spans.js';
import type { CPlace, CPlan, Lowered } from './types.js';

/** Of values in the arena: 64-bit sums are the widest. */
const ALIGN = 8;

/** A value's place takes that of one it follows only if that is at most so many times as large; 0: never. */
const LEAST_FILLS = [0, 1, 2, 8];

type Placed = Pick<CPlan, 'places' | 'scratch' | 'kept' | 'arenaBytes' | 'bytes'>;

/** The best of several ways to share memory. */
export function placeValues(lowered: Lowered): Placed {
  const lives = findLives(lowered);
  return LEAST_FILLS.map((fill) => place(lowered, lives, groupValues(lowered, lives, fill))).reduce((best, one) =>
    one.arenaBytes < best.arenaBytes ? one : best,
  );
}

/** When a value is there: from the step that writes it first to the last that reads it. */
interface Life {
  readonly kind: CPlace['kind'];
  /** Rows from the first on that are kept. */
  readonly rows: number;
  readonly made: At;
  readonly last: At;
}
interface At {
  readonly stage: number;
  readonly at: number;
}
const NEVER: At = { stage: -1, at: -1 };

function findLives({ work, values, steps, stages, tile, inner }: Lowered): (Life | null)[] {
  const made: At[] = values.map(() => NEVER);
  const last: At[] = values.map(() => NEVER);
  const rows = values.map(() => 0);
  stages.forEach((stage, s) =>
    stage.steps.forEach((step, at) => {
      const { operands, out } = steps[step];
      if (made[out].stage < 0) made[out] = { stage: s, at };
      for (const id of operands) last[id] = { stage: s, at };
      const own = stage.segments.filter((segment) => segment.steps.includes(step));
      rows[out] = Math.max(rows[out], ...own.map(({ end }) => end));
    }),
  );
  // A value that lies within another is there as long as that, from its own beginning.
  for (const [id, { step, shift }] of inner) {
    const { out } = steps[step];
    rows[out] = Math.max(rows[out], rows[id] + shift);
    made[out] = made[id];
    last[id] = last[out];
  }
  const constants = new Set(steps.flatMap(({ op, out }) => (op?.op === 'constant' ? [out] : [])));
  return values.map((_, id): Life | null => {
    if (id < work.inputs.length) return { kind: 'pixels', rows: 0, made: NEVER, last: last[id] };
    if (constants.has(id)) return { kind: 'constant', rows: 0, made: NEVER, last: last[id] };
    if (made[id].stage < 0) return null;
    const outer = inner.get(id);
    if (id === work.output || (outer !== undefined && steps[outer.step].out === work.output))
      return { kind: 'out', rows: rows[id], made: made[id], last: last[id] };
    const isBlock = made[id].stage === last[id].stage;
    return {
      kind: isBlock ? 'block' : 'whole',
      rows: isBlock ? Math.min(tile, rows[id]) : rows[id],
      made: made[id],
      last: last[id],
    };
  });
}

/** The value in whose place each value lies. */
function groupValues(lowered: Lowered, lives: readonly (Life | null)[], fill: number): number[] {
  const { values, steps, stages, inner } = lowered;
  const ownerOf = values.map((_, id) => id);
  for (const [id, { step }] of inner) ownerOf[id] = steps[step].out;
  if (fill === 0) return ownerOf;
  /** Places that a later value has taken. */
  const taken = new Set<number>(inner.keys());
  const placed = new Set<number>(
    [...inner.values()].filter(({ shift }) => shift > 0).map(({ step }) => steps[step].out),
  );
  stages.forEach(({ steps: members }, s) =>
    members.forEach((step, at) => {
      const id = ownerOf[steps[step].out];
      if (placed.has(id)) return;
      placed.add(id);
      const free = freedBy(lowered, lives, { stage: s, at }).filter((other) => {
        const [pitch, mine] = [pitchOf(values[other]), pitchOf(values[id])];
        return (
          other !== id &&
          !taken.has(other) &&
          fits(lives, other, id) &&
          mine <= pitch &&
          pitch <= fill * mine &&
          values[other].rows === values[id].rows
        );
      });
      const best = free.sort((a, b) => pitchOf(values[a]) - pitchOf(values[b]))[0];
      if (best === undefined) return;
      taken.add(best);
      const owner = ownerOf[best];
      ownerOf.forEach((one, i) => (ownerOf[i] = one === id ? owner : one));
    }),
  );
  return ownerOf;
}

const pitchOf = ({ cols, out }: Lowered['values'][number]): number => cols * bytesOf(out.type);

const fits = (lives: readonly (Life | null)[], other: number, id: number): boolean =>
  lives[other]!.kind === lives[id]!.kind && (lives[id]!.kind === 'whole' || lives[id]!.kind === 'block');

/** The values whose rows nobody reads any more once a step writes the same rows, or just while it does. */
function freedBy({ steps, stages, values }: Lowered, lives: readonly (Life | null)[], now: At): number[] {
  const members = stages[now.stage].steps;
  const read = new Set(members.slice(0, now.at + 1).flatMap((step) => steps[step].operands));
  return [...read].filter((id) => {
    const life = lives[id];
    if (life === null || life.last.stage !== now.stage || life.last.at > now.at) return false;
    if (life.kind === 'whole' && life.made.stage === now.stage) return false;
    return members
      .slice(0, now.at + 1)
      .every((step, at) =>
        steps[step].operands.every(
          (operand, k) =>
            operand !== id ||
            (isRowLocal(steps[step], k, values) && (at < now.at || aliasesOf(steps[step]).includes(k))),
        ),
      );
  });
}

/** All that wants memory, packed. */
function place(lowered: Lowered, lives: readonly (Life | null)[], ownerOf: readonly number[]): Placed {
  const { values, steps, stages } = lowered;
  const wants = new Wants();
  const members = new Map<number, { id: number; life: Life }[]>();
  lives.forEach((life, id) => {
    if (life !== null) members.set(ownerOf[id], [...(members.get(ownerOf[id]) ?? []), { id, life }]);
  });
  for (const [owner, own] of members) {
    if (own.length === 0 || !['whole', 'block'].includes(lives[owner]?.kind ?? '')) continue;
    const span = join(own.map(({ life }) => life));
    const bytes = Math.max(...own.map(({ id, life }) => life.rows * pitchOf(values[id])));
    wants.add(`value ${owner}`, { ...span, bytes });
  }
  lives.forEach((life, id) => {
    if (life !== null && values[id].out.type === 'rows')
      wants.add(`scale ${id}`, { ...join([life]), bytes: 4 * life.rows });
  });
  stages.forEach((stage, s) =>
    stage.steps.forEach((step, at) => {
      wants.add(`scratch ${step}`, { first: s, last: s, from: at, to: at, bytes: scratchBytes(steps[step]) });
      const kept = keptBytes(steps[step]);
      wants.add(`kept ${step}`, { first: s, last: s, from: 0, to: Infinity, bytes: kept });
    }),
  );
  const { offsets, bytes } = packSpans(wants.spans, ALIGN);
  const offset = (key: string): number => offsets[wants.places.get(key) ?? -1] ?? 0;
  return {
    places: values.map((_, id): CPlace => {
      const kind = lives[id]?.kind ?? 'whole';
      const shifted = (lowered.inner.get(id)?.shift ?? 0) * pitchOf(values[id]);
      return { kind, offset: offset(`value ${ownerOf[id]}`) + shifted, scaleOffset: offset(`scale ${id}`) };
    }),
    scratch: steps.map((_, step) => offset(`scratch ${step}`)),
    kept: steps.map((_, step) => offset(`kept ${step}`)),
    arenaBytes: bytes,
    bytes: stages.flatMap((stage, s) => stage.steps.map((step, at) => ({ step, bytes: bytesAt(wants.spans, s, at) }))),
  };
}

class Wants {
  readonly spans: Span[] = [];
  readonly places = new Map<string, number>();

  add(key: string, span: Span): void {
    if (span.bytes === 0) return;
    this.places.set(key, this.spans.length);
    this.spans.push(span);
  }
}

/** The time of all of some lives: within one stage from step to step, else whole stages. */
function join(lives: readonly Life[]): Omit<Span, 'bytes'> {
  const first = Math.min(...lives.map(({ made }) => made.stage));
  const last = Math.max(...lives.map(({ made, last: end }) => Math.max(made.stage, end.stage)));
  if (lives[0].kind === 'whole') return { first, last, from: 0, to: Infinity };
  return {
    first,
    last,
    from: Math.min(...lives.map(({ made }) => made.at)),
    to: Math.max(...lives.map(({ last: end }) => end.at)),
  };
}

function bytesAt(spans: readonly Span[], stage: number, at: number): number {
  return spans
    .filter(({ first, last, from, to }) => first <= stage && last >= stage && from <= at && to >= at)
    .reduce((sum, { bytes }) => sum + roundUp(bytes, ALIGN), 0);
}

/** So that callers may hand in an arena at any address. */
export const ARENA_SLACK = ALIGN - 1;
