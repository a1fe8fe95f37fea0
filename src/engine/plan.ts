import type { AttentionOp, GatherOp, Op, OperandView, Program, ValueType } from '../program/types.js';
import { operandsOf } from '../program/operands.js';
import { floorDivide } from '../kernels/dyadic.js';
import { imageValue } from './reference.js';
import type { Value } from './types.js';

/** Type and shape of a value. */
export type ValueSpec = Omit<Value, 'data' | 'rowScale'>;

/** What a plan is made for: a whole program, or one op on given operands. */
export interface Work {
  readonly inputs: readonly ValueSpec[];
  readonly ops: readonly Op[];
  /** For each op the values it reads: input i is value i, op i writes value inputs.length + i. */
  readonly operands: readonly (readonly number[])[];
  readonly output: number;
  readonly image: Program['input'];
}

export function workOfProgram(program: Program): Work {
  const { input, ops, output } = program;
  const image = imageValue(input, new Uint8Array(0));
  return { inputs: [image], ops, operands: ops.map(operandsOf), output, image: input };
}

export function workOfOp(op: Op, inputs: readonly ValueSpec[], image: Program['input']): Work {
  return { inputs, ops: [op], operands: [inputs.map((_, i) => i)], output: inputs.length, image };
}

/** The register tile of the GEMM: blocks of rows and ranges of columns follow it. */
export interface Tile {
  readonly rows: number;
  readonly cols: number;
}

/**
 * One thing a kernel does. An op is one step, but that a linear layer or attention with dynamic output is two: itself,
 * writing û, and `quantize`, by the maxima of the rows.
 */
export interface Step {
  readonly op: Op | null;
  readonly out: number;
  readonly operands: readonly number[];
}

/** Rows [first, end). */
export type Run = readonly [number, number];

/** The part of a step that anybody reads: columns [n0, n1) of some rows. */
export interface Use {
  readonly step: number;
  readonly n0: number;
  readonly n1: number;
  readonly runs: readonly Run[];
}

/**
 * Steps that a block of rows runs through one after another; an attention is a stage by itself. What a stage reads from
 * other rows was finished by a stage before it.
 */
export interface Stage {
  readonly attention: boolean;
  readonly blockRows: number;
  readonly runs: readonly Run[];
  readonly uses: readonly Use[];
}

/** `local`: within the running thread's memory, from the block's first row on; offsets in bytes. */
export interface Place {
  readonly place: 'arena' | 'local' | 'constant';
  readonly offset: number;
  readonly scaleOffset: number;
}

export interface Plan {
  readonly values: readonly ValueSpec[];
  readonly places: readonly Place[];
  readonly steps: readonly Step[];
  readonly stages: readonly Stage[];
  readonly arenaBytes: number;
  readonly localBytes: number;
}

/** Bytes of a block's values in one stage: half of a common level 2 cache, the rest is for the weights. */
const BLOCK_BYTES = 1 << 18;
/** native/ivit.h: alignment of values, and what may be read beyond their end. */
const ALIGN = 64;
const SLACK = 64;

/** Lays out the work: what is computed at all, in which order and blocks, and where every value lies. */
export function planWork(work: Work, tile: Tile): Plan {
  const { values, steps } = lower(work);
  const uses = findUses(work.output, values, steps, tile);
  const stages = formStages(values, steps, uses, tile);
  return { values, steps, stages, ...placeValues(work, values, steps, stages) };
}

function lower(work: Work): { values: ValueSpec[]; steps: Step[] } {
  const opValue = work.inputs.length;
  const values: ValueSpec[] = [...work.inputs, ...work.ops.map(({ out, rows, cols }) => ({ out, rows, cols }))];
  const steps: Step[] = [];
  work.ops.forEach((op, i) => {
    const out = opValue + i;
    const operands = work.operands[i];
    if ((op.op === 'linear' || op.op === 'attention') && op.out.type === 'rows') {
      const wide = values.push({ out: { type: 'i32' }, rows: op.rows, cols: op.cols }) - 1;
      steps.push({ op, out: wide, operands }, { op: null, out, operands: [wide] });
    } else {
      steps.push({ op, out, operands });
    }
  });
  return { values, steps };
}

// --- which rows and columns anybody reads ---

/** Columns [n0, n1) of the rows whose byte is 1. */
interface Need {
  readonly n0: number;
  readonly n1: number;
  readonly rows: Uint8Array;
}

/** Walks back from the output: for each step the parts of its value that are read; none where nobody reads it. */
function findUses(output: number, values: readonly ValueSpec[], steps: readonly Step[], tile: Tile): Use[][] {
  const needs: Need[][] = values.map(() => []);
  needs[output].push({ n0: 0, n1: values[output].cols, rows: new Uint8Array(values[output].rows).fill(1) });

  const uses: Use[][] = steps.map(() => []);
  for (let i = steps.length - 1; i >= 0; i--) {
    const step = steps[i];
    const wanted = needs[step.out];
    if (wanted.length === 0 || step.op?.op === 'constant') continue;
    const { cols } = values[step.out];
    const parts = step.op?.op === 'linear' ? cutColumns(wanted, cols, tile.cols) : [wholeRows(wanted, cols)];
    uses[i] = parts.map(({ n0, n1, rows }) => ({ step: i, n0, n1, runs: toRuns(rows, tile.rows) }));
    requestOperands(step, unionRows(parts), values, needs);
  }
  return uses;
}

function wholeRows(needs: readonly Need[], cols: number): Need {
  return { n0: 0, n1: cols, rows: unionRows(needs) };
}

function unionRows(needs: readonly Need[]): Uint8Array {
  const union = needs[0].rows.slice();
  for (const need of needs) need.rows.forEach((bit, r) => (union[r] |= bit));
  return union;
}

/** Splits the columns where the rows that are needed change, at multiples of the register tile. */
function cutColumns(needs: readonly Need[], cols: number, tileCols: number): Need[] {
  const cuts = new Set([0, cols]);
  for (const { n0, n1 } of needs) {
    cuts.add(n0 - (n0 % tileCols));
    cuts.add(Math.min(cols, roundUp(n1, tileCols)));
  }
  const edges = [...cuts].sort((a, b) => a - b);
  const parts: Need[] = [];
  for (let i = 0; i + 1 < edges.length; i++) {
    const [n0, n1] = [edges[i], edges[i + 1]];
    const within = needs.filter((need) => need.n0 < n1 && need.n1 > n0);
    if (within.length === 0) continue;
    const rows = unionRows(within);
    const last = parts.at(-1);
    if (last !== undefined && last.n1 === n0 && sameBytes(last.rows, rows)) parts[parts.length - 1] = { ...last, n1 };
    else parts.push({ n0, n1, rows });
  }
  return parts;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

/** Runs of needed rows; gaps of less than a register tile are computed along, as they cost nothing. */
function toRuns(rows: Uint8Array, tileRows: number): Run[] {
  const runs: [number, number][] = [];
  rows.forEach((bit, r) => {
    if (bit === 0) return;
    const last = runs.at(-1);
    if (last !== undefined && r - last[1] < tileRows) last[1] = r + 1;
    else runs.push([r, r + 1]);
  });
  return runs;
}

/** Asks for the operands of rows `rows` of a step. */
function requestOperands(step: Step, rows: Uint8Array, values: readonly ValueSpec[], needs: Need[][]): void {
  const { op, operands } = step;
  /** Elements [first, end) of an operand, as whole rows of it. */
  const request = (id: number, ranges: Iterable<Run>, columns?: Run): void => {
    const { rows: height, cols } = values[id];
    const wanted = new Uint8Array(height);
    for (const [first, end] of ranges) wanted.fill(1, floorDivide(first, cols), floorDivide(end - 1, cols) + 1);
    needs[id].push({ n0: columns?.[0] ?? 0, n1: columns?.[1] ?? cols, rows: wanted });
  };
  const runs = toRuns(rows, 1);
  const scaled = (rowLength: number): Run[] => runs.map(([a, b]) => [a * rowLength, b * rowLength]);

  switch (op?.op) {
    case 'patches':
      return request(operands[0], [[0, values[operands[0]].rows * values[operands[0]].cols]]);
    case 'attention':
      return requestAttention(op, operands, rows, values, request);
    case 'gather':
      return requestSources(op, operands, runs, values, request);
    case 'meanRows':
      return request(operands[0], scaled(op.group * op.cols));
    default:
      operands.forEach((id, i) => request(id, scaled(readLength(step, i, values))));
  }
}

type Request = (id: number, ranges: Iterable<Run>, columns?: Run) => void;

function requestAttention(
  op: AttentionOp,
  operands: readonly number[],
  rows: Uint8Array,
  values: readonly ValueSpec[],
  request: Request,
): void {
  const queryTokens: number[] = [];
  const windows = new Set<number>();
  rows.forEach((bit, r) => {
    if (bit === 0) return;
    queryTokens.push(r);
    windows.add(floorDivide(r, op.queries));
  });
  const keyTokens: number[] = [];
  for (const window of windows) for (let j = 0; j < op.keys; j++) keyTokens.push(window * op.keys + j);

  const requestView = (view: OperandView, id: number, tokens: readonly number[], dim: number): void => {
    const columns: Run = [view.offset, view.offset + (op.heads - 1) * view.headStride + dim];
    const ranges = tokens.map((token): Run => {
      const at = (view.rows === null ? token : view.rows[token]) * view.stride;
      return [at + columns[0], at + columns[1]];
    });
    request(id, ranges, view.stride === values[id].cols ? columns : undefined);
  };
  requestView(op.q, operands[0], queryTokens, op.dim);
  requestView(op.k, operands[1], keyTokens, op.dim);
  requestView(op.v, operands[2], keyTokens, op.valueDim);
}

function requestSources(
  op: GatherOp,
  operands: readonly number[],
  runs: readonly Run[],
  values: readonly ValueSpec[],
  request: Request,
): void {
  const ranges: Run[][] = operands.map(() => []);
  const lengths = operands.map((id) => values[id].rows * values[id].cols);
  for (const [a, b] of runs) {
    const last = floorDivide(b * op.cols - 1, op.piece);
    for (let piece = floorDivide(a * op.cols, op.piece); piece <= last; piece++) {
      let at = op.index[piece] * op.piece;
      if (at < 0) continue;
      let source = 0;
      while (at >= lengths[source]) at -= lengths[source++];
      ranges[source].push([at, at + op.piece]);
    }
  }
  operands.forEach((id, i) => {
    if (ranges[i].length > 0) request(id, ranges[i]);
  });
}

/** The row length in which a row-local step reads its operand i. */
function readLength({ op, out }: Step, i: number, values: readonly ValueSpec[]): number {
  return op?.op === 'linear' && i === 0 ? op.inFeatures : values[out].cols;
}

// --- stages ---

/** Whether row r of the step needs just row r of operand i. */
function isRowLocal(step: Step, i: number, values: readonly ValueSpec[]): boolean {
  const kind = step.op?.op;
  if (kind === 'patches' || kind === 'attention' || kind === 'gather' || kind === 'meanRows') return false;
  const operand = values[step.operands[i]];
  return operand.rows === values[step.out].rows && operand.cols === readLength(step, i, values);
}

function formStages(values: readonly ValueSpec[], steps: readonly Step[], uses: readonly Use[][], tile: Tile): Stage[] {
  const stages: Stage[] = [];
  let members: number[] = [];
  const close = (): void => {
    if (members.length > 0) stages.push(makeStage(members, values, steps, uses, tile));
    members = [];
  };
  steps.forEach((step, i) => {
    if (uses[i].length === 0) return;
    if (step.op?.op === 'attention') {
      close();
      stages.push({ attention: true, blockRows: step.op.queries, runs: uses[i][0].runs, uses: uses[i] });
      return;
    }
    const made = new Set(members.map((m) => steps[m].out));
    const fits =
      step.operands.every((id, k) => !made.has(id) || isRowLocal(step, k, values)) &&
      (members.length === 0 || values[steps[members[0]].out].rows === values[step.out].rows);
    if (!fits) close();
    members.push(i);
  });
  close();
  return stages;
}

function makeStage(
  members: readonly number[],
  values: readonly ValueSpec[],
  steps: readonly Step[],
  uses: readonly Use[][],
  tile: Tile,
): Stage {
  const stageUses = members.flatMap((i) => uses[i]);
  const rows = new Uint8Array(values[steps[members[0]].out].rows);
  for (const { runs } of stageUses) for (const [a, b] of runs) rows.fill(1, a, b);
  const rowBytes = members.reduce((sum, i) => sum + values[steps[i].out].cols * bytesOf(values[steps[i].out].out.type), 0);
  const fitting = floorDivide(floorDivide(BLOCK_BYTES, rowBytes), tile.rows) * tile.rows;
  const blockRows = Math.max(tile.rows, Math.min(fitting, roundUp(rows.length, tile.rows)));
  return { attention: false, blockRows, runs: toRuns(rows, 1), uses: stageUses };
}

// --- memory ---

/** A span of memory wanted from time `first` to time `last`, both included. */
interface Span {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

function placeValues(
  work: Work,
  values: readonly ValueSpec[],
  steps: readonly Step[],
  stages: readonly Stage[],
): { places: Place[]; arenaBytes: number; localBytes: number } {
  const made = new Array<number>(values.length).fill(-1);
  const lastRead = new Array<number>(values.length).fill(-1);
  stages.forEach((stage, s) => {
    for (const use of stage.uses) {
      made[steps[use.step].out] = s;
      for (const id of steps[use.step].operands) lastRead[id] = s;
    }
  });
  lastRead[work.output] = stages.length;
  const isConstant = new Set(steps.filter((step) => step.op?.op === 'constant').map((step) => step.out));

  const places: Place[] = values.map(() => ({ place: 'constant', offset: 0, scaleOffset: 0 }));
  const arena: { id: number; scale: boolean; span: Span }[] = [];
  const locals: number[][] = stages.map(() => []);
  values.forEach((spec, id) => {
    if (isConstant.has(id) || (lastRead[id] < 0 && id >= work.inputs.length)) return;
    if (made[id] >= 0 && lastRead[id] === made[id]) {
      locals[made[id]].push(id);
      return;
    }
    const interval = { first: made[id], last: lastRead[id] };
    const bytes = spec.rows * spec.cols * bytesOf(spec.out.type);
    arena.push({ id, scale: false, span: { bytes, ...interval } });
    if (spec.out.type === 'rows') arena.push({ id, scale: true, span: { bytes: 4 * spec.rows, ...interval } });
  });

  const put = (entries: readonly { id: number; scale: boolean; span: Span }[], place: Place['place']): number => {
    const { offsets, bytes } = packSpans(entries.map((entry) => entry.span));
    entries.forEach(({ id, scale }, i) => {
      places[id] = scale ? { ...places[id], scaleOffset: offsets[i] } : { ...places[id], place, offset: offsets[i] };
    });
    return bytes;
  };
  const arenaBytes = put(arena, 'arena');

  let localBytes = 0;
  stages.forEach((stage, s) => {
    const entries = locals[s].flatMap((id) => {
      const readers = stage.uses.flatMap((use, at) => (steps[use.step].operands.includes(id) ? [at] : []));
      const makers = stage.uses.flatMap((use, at) => (steps[use.step].out === id ? [at] : []));
      const interval = { first: makers[0], last: readers.at(-1) as number };
      const { cols, out } = values[id];
      const codes = { id, scale: false, span: { bytes: stage.blockRows * cols * bytesOf(out.type), ...interval } };
      if (out.type !== 'rows') return [codes];
      return [codes, { id, scale: true, span: { bytes: 4 * stage.blockRows, ...interval } }];
    });
    localBytes = Math.max(localBytes, put(entries, 'local'));
  });
  return { places, arenaBytes, localBytes };
}

/** Offsets such that spans whose times meet do not overlap: the largest first, each at the lowest place that is free. */
function packSpans(spans: readonly Span[]): { offsets: number[]; bytes: number } {
  const offsets = new Array<number>(spans.length).fill(0);
  const order = spans.map((_, i) => i).sort((a, b) => spans[b].bytes - spans[a].bytes);
  const placed: number[] = [];
  const sizeOf = (i: number): number => roundUp(spans[i].bytes + SLACK, ALIGN);
  let total = 0;
  for (const i of order) {
    const taken = placed
      .filter((j) => spans[j].first <= spans[i].last && spans[i].first <= spans[j].last)
      .sort((a, b) => offsets[a] - offsets[b]);
    let at = 0;
    for (const j of taken) {
      if (at + sizeOf(i) <= offsets[j]) break;
      at = Math.max(at, offsets[j] + sizeOf(j));
    }
    offsets[i] = at;
    placed.push(i);
    total = Math.max(total, at + sizeOf(i));
  }
  return { offsets, bytes: total };
}

export function bytesOf(type: ValueType): number {
  return type === 'i32' ? 4 : type === 'i16' ? 2 : 1;
}

function roundUp(n: number, to: number): number {
  return floorDivide(n + to - 1, to) * to;
}
