/** Which steps a block of rows runs through one after another. */
import { floorDivide } from '../../kernels/dyadic.js';
import { bytesOf } from '../../program/value.js';
import type { ValueSpec } from '../values.js';
import { roundUp } from './memory.js';
import { unionRuns } from './runs.js';
import type { Stage, Step, Tile, Use } from './types.js';
import { isRowLocal } from './uses.js';

/** Bytes of a block's values in one stage, by default: half of a common level 2 cache, the rest is for the weights. */
const BLOCK_BYTES = 1 << 19;

/** The steps that anybody reads, in stages. */
export function formStages(
  values: readonly ValueSpec[],
  steps: readonly Step[],
  uses: readonly Use[][],
  tile: Tile,
): Stage[] {
  const stages: Stage[] = [];
  let members: number[] = [];
  let made = new Set<number>();
  const close = (): void => {
    if (members.length > 0) stages.push(makeStage(members, values, steps, uses, tile));
    members = [];
    made = new Set();
  };
  steps.forEach((step, i) => {
    const { op, operands, out } = step;
    if (uses[i].length === 0) return;
    if (op?.op === 'attention') {
      close();
      stages.push({ attention: true, blockRows: op.queries, runs: uses[i][0].runs, uses: uses[i] });
      return;
    }
    // It asks for all rows before it writes the first: the engines take their sums when the stage begins.
    if (op?.op === 'groupNorm') close();
    const fits =
      operands.every((id, k) => !made.has(id) || isRowLocal(step, k, values)) &&
      (members.length === 0 || canJoin(values[out].rows, values[steps[members[0]].out].rows, tile));
    if (!fits) close();
    members.push(i);
    made.add(out);
  });
  close();
  return stages;
}

/**
 * Whether a step of some rows can run beside one of `stageRows`: of as many, or of so few that one block has them all.
 */
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
  const { rows } = values[steps[members[0]].out];
  const made = members.map((i) => values[steps[i].out]).filter((value) => value.rows === rows);
  const rowBytes = made.reduce((sum, { cols, out }) => sum + cols * bytesOf(out.type), 0);
  const fitting = floorDivide(floorDivide(tile.blockBytes ?? BLOCK_BYTES, rowBytes), tile.rows) * tile.rows;
  const blockRows = Math.max(tile.rows, Math.min(fitting, roundUp(rows, tile.rows)));
  return { attention: false, blockRows, runs: unionRuns(stageUses), uses: stageUses };
}
