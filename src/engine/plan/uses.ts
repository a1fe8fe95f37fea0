/** Which rows and columns of each step anybody reads. */
import { engineOpOf } from '../ops/index.js';
import type { Request } from '../ops/definition.js';
import type { ValueSpec } from '../values.js';
import { fillTiles, scaleRuns, unionRuns } from './runs.js';
import type { Run, Step, Tile, Use } from './types.js';

/** Columns [n0, n1) of some rows: runs in order, with gaps between them. */
interface Need {
  readonly n0: number;
  readonly n1: number;
  readonly runs: readonly Run[];
}

/** Readers of a value whose columns are told apart: the work is as their square. */
const MOST_NEEDS = 256;
/** Runs, and entries of indices, that a plan looks at one by one; from then on it computes whole values. */
const MOST_RUNS = 1 << 21;

/** Walks back from the output: for each step the parts of its value that are read; none where nobody reads it. */
export function findUses(output: number, values: readonly ValueSpec[], steps: readonly Step[], tile: Tile): Use[][] {
  const needs: Need[][] = values.map(() => []);
  needs[output].push({ n0: 0, n1: values[output].cols, runs: [[0, values[output].rows]] });

  const uses: Use[][] = steps.map(() => []);
  let seen = 0;
  for (let i = steps.length - 1; i >= 0; i--) {
    const step = steps[i];
    const wanted = needs[step.out];
    if (wanted.length === 0 || step.op?.op === 'constant') continue;
    const { rows, cols } = values[step.out];
    const cuts = wanted.length <= MOST_NEEDS && step.op !== null && engineOpOf(step.op).cutsColumns === true;
    seen += lengthOfIndex(step) + countRuns(wanted) * (cuts ? wanted.length : 1);
    if (seen > MOST_RUNS) {
      uses[i] = [{ step: i, n0: 0, n1: cols, runs: [[0, rows]] }];
      for (const id of step.operands) needs[id] = [{ n0: 0, n1: values[id].cols, runs: [[0, values[id].rows]] }];
      continue;
    }
    const parts = cuts ? cutColumns(wanted, cols, tile.cols) : [{ n0: 0, n1: cols, runs: unionRuns(wanted) }];
    uses[i] = parts.map(({ n0, n1, runs }) => ({ step: i, n0, n1, runs: fillTiles(runs, tile.rows) }));
    requestOperands(step, unionRuns(parts), values, (id, runs, columns = [0, values[id].cols]) => {
      needs[id].push({ n0: columns[0], n1: columns[1], runs });
    });
  }
  return uses;
}

function lengthOfIndex({ op }: Step): number {
  return op !== null && 'index' in op ? op.index.length : 0;
}

function countRuns(needs: readonly Need[]): number {
  return needs.reduce((sum, { runs }) => sum + runs.length, 0);
}

/** Splits the columns where the rows that are needed change, at multiples of the register tile. */
function cutColumns(needs: readonly Need[], cols: number, tileCols: number): Need[] {
  const cuts = new Set([0, cols]);
  for (const { n0, n1 } of needs) {
    cuts.add(n0 - (n0 % tileCols));
    cuts.add(Math.min(cols, n1 + ((tileCols - (n1 % tileCols)) % tileCols)));
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

/** Asks for the operands of rows `runs` of a step. */
export function requestOperands(
  step: Step,
  runs: readonly Run[],
  values: readonly ValueSpec[],
  request: Request,
): void {
  const { op, operands } = step;
  const handling = op === null ? null : engineOpOf(op);
  if (op !== null && handling?.request !== undefined) return handling.request({ ...step, op }, runs, values, request);
  operands.forEach((id, i) => request(id, scaleRuns(runs, readLength(step, i, values), values[id].cols)));
}

/** The row length in which a step reads its operand i. */
export function readLength({ op, out }: Step, i: number, values: readonly ValueSpec[]): number {
  return (op === null ? undefined : engineOpOf(op).readLength?.(op, i)) ?? values[out].cols;
}

/** Whether row r of the step needs just row r of operand i. */
export function isRowLocal(step: Step, i: number, values: readonly ValueSpec[]): boolean {
  const { op, operands, out } = step;
  const isLocal = op === null ? undefined : engineOpOf(op).isRowLocal;
  if (op !== null && isLocal !== undefined)
    return isLocal(
      op,
      operands.map((id) => values[id]),
      i,
    );
  const operand = values[operands[i]];
  return operand.rows === values[out].rows && operand.cols === readLength(step, i, values);
}
