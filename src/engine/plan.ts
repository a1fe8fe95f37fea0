import type { AttentionOp, GatherOp, Op, OperandView, Program, ValueType } from '../program/types.js';
import { operandsOf } from '../program/operands.js';
import { floorDivide } from '../kernels/dyadic.js';
import { imageValue } from './values.js';
import type { ValueSpec } from './values.js';

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

export function workOfOp(op: Op, operands: readonly ValueSpec[], image: Program['input']): Work {
  // Of values, too, only type and shape are kept, not the data.
  const inputs = operands.map(({ out, rows, cols }) => ({ out, rows, cols }));
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
const BLOCK_BYTES = 1 << 19;
/** native/ivit.h: alignment of values, and what may be read beyond their end. */
const ALIGN = 64;
const SLACK = 64;

/** Lays out the work: what is computed at all, in which order and blocks, and where every value lies. */
export function planWork(work: Work, tile: Tile): Plan {
  const { values, steps } = lower(work);
  const uses = findUses(work.output, values, steps, tile);
  const joins = findJoins(work, values, steps);
  for (const { step, rows } of joins.values())
    uses[step] = uses[step].map((use) => ({ ...use, runs: cutRuns(use.runs, rows) }));
  const stages = formStages(values, steps, uses, tile);
  return { values, steps, stages, ...placeValues(work, values, steps, stages, joins) };
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

/** Columns [n0, n1) of some rows: runs in order, with gaps between them. */
interface Need {
  readonly n0: number;
  readonly n1: number;
  readonly runs: readonly Run[];
}

/** Walks back from the output: for each step the parts of its value that are read; none where nobody reads it. */
function findUses(output: number, values: readonly ValueSpec[], steps: readonly Step[], tile: Tile): Use[][] {
  const needs: Need[][] = values.map(() => []);
  needs[output].push({ n0: 0, n1: values[output].cols, runs: [[0, values[output].rows]] });

  const uses: Use[][] = steps.map(() => []);
  for (let i = steps.length - 1; i >= 0; i--) {
    const step = steps[i];
    const wanted = needs[step.out];
    if (wanted.length === 0 || step.op?.op === 'constant') continue;
    const { cols } = values[step.out];
    const parts =
      step.op?.op === 'linear' ? cutColumns(wanted, cols, tile.cols) : [{ n0: 0, n1: cols, runs: unionRuns(wanted) }];
    uses[i] = parts.map(({ n0, n1, runs }) => ({ step: i, n0, n1, runs: fillTiles(runs, tile.rows) }));
    requestOperands(step, unionRuns(parts), values, needs);
  }
  return uses;
}

function unionRuns(needs: readonly { readonly runs: readonly Run[] }[]): readonly Run[] {
  if (needs.length === 1) return needs[0].runs;
  return closeGaps(
    needs.flatMap(({ runs }) => runs).sort((a, b) => a[0] - b[0]),
    1,
  );
}

/** Joins runs, in order of their beginnings, with less than `gap` rows between them. */
function closeGaps(runs: readonly Run[], gap: number): readonly Run[] {
  if (runs.length === 1) return runs;
  const joined: [number, number][] = [];
  for (const [first, end] of runs) {
    const last = joined.at(-1);
    if (last !== undefined && first - last[1] < gap) last[1] = Math.max(last[1], end);
    else joined.push([first, end]);
  }
  return joined;
}

/** What lies within rows [0, end). */
function cutRuns(runs: readonly Run[], end: number): readonly Run[] {
  return runs.filter(([first]) => first < end).map(([first, last]) => [first, Math.min(last, end)]);
}

/** Runs without gaps of less than a register tile, which costs no more whole, and from the first row on if less is missing. */
function fillTiles(runs: readonly Run[], rows: number): readonly Run[] {
  const [[first, end], ...others] = runs;
  return closeGaps([[first < rows ? 0 : first, end], ...others], rows);
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
    const runs = unionRuns(within);
    const last = parts.at(-1);
    if (last !== undefined && last.n1 === n0 && String(last.runs) === String(runs))
      parts[parts.length - 1] = { ...last, n1 };
    else parts.push({ n0, n1, runs });
  }
  return parts;
}

/** Asks for rows, all columns or some, of a value. */
type Request = (id: number, runs: readonly Run[], columns?: Run) => void;

/** Asks for the operands of rows `runs` of a step. */
function requestOperands(step: Step, runs: readonly Run[], values: readonly ValueSpec[], needs: Need[][]): void {
  const { op, operands } = step;
  const request: Request = (id, wanted, columns = [0, values[id].cols]) =>
    void needs[id].push({ n0: columns[0], n1: columns[1], runs: wanted });
  switch (op?.op) {
    case 'patches':
      return request(operands[0], [[0, values[operands[0]].rows]]);
    case 'attention':
      return requestAttention(op, operands, runs, values, request);
    case 'gather':
      return requestSources(op, operands, runs, values, request);
    case 'meanRows':
      return request(operands[0], scaleRuns(runs, op.group * op.cols, values[operands[0]].cols));
    default:
      operands.forEach((id, i) => request(id, scaleRuns(runs, readLength(step, i, values), values[id].cols)));
  }
}

/** Runs of rows of `length` elements as runs of rows of `cols` elements that hold them. */
function scaleRuns(runs: readonly Run[], length: number, cols: number): readonly Run[] {
  if (length === cols) return runs;
  return closeGaps(
    runs.map(([first, end]) => rowsOf(first * length, end * length, cols)),
    1,
  );
}

/** The rows of `cols` elements that elements first to end lie in. */
function rowsOf(first: number, end: number, cols: number): Run {
  return [floorDivide(first, cols), floorDivide(end - 1, cols) + 1];
}

function requestAttention(
  op: AttentionOp,
  operands: readonly number[],
  runs: readonly Run[],
  values: readonly ValueSpec[],
  request: Request,
): void {
  // Whole windows, as seen in queries and in keys.
  const windows = scaleRuns(runs, 1, op.queries);
  const keys = windows.map(([first, end]): Run => [first * op.keys, end * op.keys]);
  const requestView = (view: OperandView, id: number, tokens: readonly Run[], dim: number): void => {
    const { cols } = values[id];
    const columns: Run = [view.offset, view.offset + (op.heads - 1) * view.headStride + dim];
    const rows = view.rows === null ? tokens : pickRows(view.rows, tokens);
    if (view.stride === cols) return request(id, rows, columns);
    request(id, scaleRuns(rows, view.stride, cols));
  };
  requestView(op.q, operands[0], runs, op.dim);
  requestView(op.k, operands[1], keys, op.dim);
  requestView(op.v, operands[2], keys, op.valueDim);
}

/** The rows at some places of an index. */
function pickRows(index: Int32Array, places: readonly Run[]): readonly Run[] {
  const picked = places.flatMap(([first, end]) => [...index.subarray(first, end)]).sort((a, b) => a - b);
  return closeGaps(
    picked.map((row): Run => [row, row + 1]),
    1,
  );
}

function requestSources(
  op: GatherOp,
  operands: readonly number[],
  runs: readonly Run[],
  values: readonly ValueSpec[],
  request: Request,
): void {
  const pieces = scaleRuns(runs, op.cols, op.piece).flatMap(([first, end]) => [...op.index.subarray(first, end)]);
  const order = pieces.filter((piece) => piece >= 0).sort((a, b) => a - b);
  let start = 0;
  let next = 0;
  for (const id of operands) {
    const { rows, cols } = values[id];
    const end = start + rows * cols;
    const wanted: Run[] = [];
    for (; next < order.length && order[next] * op.piece < end; next++) {
      const at = order[next] * op.piece - start;
      wanted.push(rowsOf(at, at + op.piece, cols));
    }
    if (wanted.length > 0) request(id, closeGaps(wanted, 1));
    start = end;
  }
}

/** The row length in which a row-local step reads its operand i. */
function readLength({ op, out }: Step, i: number, values: readonly ValueSpec[]): number {
  return op?.op === 'linear' && i === 0 ? op.inFeatures : values[out].cols;
}

// --- stages ---

/** Whether row r of the step needs just row r of operand i. */
function isRowLocal(step: Step, i: number, values: readonly ValueSpec[]): boolean {
  const kind = step.op?.op;
  if (kind === 'patches' || kind === 'attention' || kind === 'meanRows') return false;
  if (step.op?.op === 'gather') return rowSources(step.op, step.operands, values) !== null;
  const operand = values[step.operands[i]];
  return operand.rows === values[step.out].rows && operand.cols === readLength(step, i, values);
}

/** Of a gather that leaves every row in its place: the operand that each row comes from; null for all others. */
function rowSources(op: GatherOp, operands: readonly number[], values: readonly ValueSpec[]): readonly number[] | null {
  if (op.piece !== op.cols || operands.some((id) => values[id].cols !== op.cols)) return null;
  const starts: number[] = [];
  let total = 0;
  for (const id of operands) {
    starts.push(total);
    total += values[id].rows;
  }
  const sources: number[] = [];
  for (let r = 0; r < op.rows; r++) {
    const source = starts.findIndex((start, s) => op.index[r] === start + r && r < values[operands[s]].rows);
    if (source < 0) return null;
    sources.push(source);
  }
  return sources;
}

/** A gather that replaces the first rows of a value nobody else reads: done in place, only these rows move. */
interface Join {
  readonly step: number;
  readonly rows: number;
}

/** By the value that is replaced. */
function findJoins(work: Work, values: readonly ValueSpec[], steps: readonly Step[]): Map<number, Join> {
  const joins = new Map<number, Join>();
  steps.forEach(({ op, operands, out }, i) => {
    if (op?.op !== 'gather' || operands.length !== 2) return;
    const [first, rest] = operands;
    const maker = steps.find((step) => step.out === rest);
    const isOwn =
      maker !== undefined && maker.op?.op !== 'constant' && maker.op?.op !== 'gather' && rest !== work.output;
    if (!isOwn || values[rest].rows !== op.rows || steps.filter((step) => step.operands.includes(rest)).length > 1)
      return;
    const sources = rowSources(op, operands, values);
    const rows = values[first].rows;
    if (sources?.every((source, r) => source === (r < rows ? 0 : 1)) && values[out].out.type !== 'rows')
      joins.set(rest, { step: i, rows });
  });
  return joins;
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
      (members.length === 0 || canJoin(values[step.out].rows, values[steps[members[0]].out].rows, tile));
    if (!fits) close();
    members.push(i);
  });
  close();
  return stages;
}

/** Whether a step of some rows can run beside one of `stageRows`: of as many, or of so few that one block has them all. */
function canJoin(rows: number, stageRows: number, tile: Tile): boolean {
  return rows === stageRows || (rows < stageRows && rows <= tile.rows);
}

function makeStage(
  members: readonly number[],
  values: readonly ValueSpec[],
  steps: readonly Step[],
  uses: readonly Use[][],
  tile: Tile,
): Stage {
  const stageUses = members.flatMap((i) => uses[i]);
  const runs = unionRuns(stageUses);
  const { rows } = values[steps[members[0]].out];
  const made = members.map((i) => values[steps[i].out]).filter((value) => value.rows === rows);
  const rowBytes = made.reduce((sum, { cols, out }) => sum + cols * bytesOf(out.type), 0);
  const fitting = floorDivide(floorDivide(BLOCK_BYTES, rowBytes), tile.rows) * tile.rows;
  const blockRows = Math.max(tile.rows, Math.min(fitting, roundUp(rows, tile.rows)));
  return { attention: false, blockRows, runs, uses: stageUses };
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
  joins: ReadonlyMap<number, Join>,
): { places: Place[]; arenaBytes: number; localBytes: number } {
  // A value that is replaced in place lies where what replaces it does.
  const placeOf = values.map((_, id) => (joins.has(id) ? steps[joins.get(id)!.step].out : id));
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
  const isConstant = new Set(steps.filter((step) => step.op?.op === 'constant').map((step) => step.out));

  const places: Place[] = values.map(() => ({ place: 'constant', offset: 0, scaleOffset: 0 }));
  const arena: { id: number; scale: boolean; span: Span }[] = [];
  const locals: number[][] = stages.map(() => []);
  values.forEach((spec, id) => {
    if (placeOf[id] !== id || isConstant.has(id) || (lastRead[id] < 0 && id >= work.inputs.length)) return;
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
      const readers = stage.uses.flatMap((use, at) =>
        steps[use.step].operands.some((operand) => placeOf[operand] === id) ? [at] : [],
      );
      const makers = stage.uses.flatMap((use, at) => (placeOf[steps[use.step].out] === id ? [at] : []));
      const interval = { first: makers[0], last: readers.at(-1) as number };
      const { cols, out } = values[id];
      const rows = Math.min(stage.blockRows, values[id].rows);
      const codes = { id, scale: false, span: { bytes: rows * cols * bytesOf(out.type), ...interval } };
      if (out.type !== 'rows') return [codes];
      return [codes, { id, scale: true, span: { bytes: 4 * rows, ...interval } }];
    });
    localBytes = Math.max(localBytes, put(entries, 'local'));
  });
  for (const id of joins.keys()) places[id] = places[placeOf[id]];
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
