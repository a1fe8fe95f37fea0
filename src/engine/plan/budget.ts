/** What a plan takes of memory, counted before any of it is allocated. */
import { memoryOfOps, requireMemory, type MemoryOptions } from '../../program/budget.js';
import { floorDivide } from '../../kernels/dyadic.js';
import { countRows } from './runs.js';
import type { Plan, Stage, Tile, Work } from './types.js';

/** What runs a plan: memory to run it in for one image, several times over. */
export interface Contexts {
  /** The threads of each context. */
  readonly threads: readonly number[];
  /** How often the constants are there. */
  readonly copies: number;
  readonly tile: Tile;
}

/** Bytes of a block of rows or queries in native/program/schedule.c. */
const BLOCK_BYTES = 16;

/** @throws InputError where a plan takes more memory than is allowed */
export function requirePlanned(plan: Plan, work: Work, contexts: Contexts, options: MemoryOptions): void {
  const { constants, shared, thread } = memoryOfOps(work.ops);
  const schedules = (threads: number) =>
    plan.stages.reduce((sum, stage) => sum + scheduleBytes(plan, stage, threads, contexts.tile), 0);
  const rest = contexts.threads.reduce(
    (sum, threads) => sum + plan.arenaBytes + shared + threads * (plan.localBytes + thread) + schedules(threads),
    0,
  );
  requireMemory({ constants, copies: contexts.copies, rest }, work.ops, options);
}

/** Blocks of one thread are as large as the plan says; those of several may be as small as the register tile. */
function scheduleBytes({ steps }: Plan, { runs, uses, blockRows }: Stage, threads: number, tile: Tile): number {
  const blocks = floorDivide(countRows(runs), threads === 1 ? blockRows : tile.rows) + 4 * runs.length;
  const op = steps[uses[0].step].op;
  return BLOCK_BYTES * (op?.op === 'attention' ? blocks * op.heads + op.batch : blocks);
}
