/** What a plan takes of memory, counted before any of it is allocated. */
import { InputError } from '../../errors.js';
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
  /** What the constants and one context can have together, whatever is allowed: more has no address. */
  readonly addressable?: number;
}

/** Bytes of a block of rows or queries in native/program/schedule.c. */
const BLOCK_BYTES = 16;

/** Bytes of the constants as they are packed, and of each context. */
export function plannedBytes(
  plan: Plan,
  work: Work,
  { threads, tile }: Contexts,
): { readonly constants: number; readonly each: readonly number[] } {
  const { constants, shared, thread } = memoryOfOps(work.ops);
  const schedules = (count: number) =>
    plan.stages.reduce((sum, stage) => sum + scheduleBytes(plan, stage, count, tile), 0);
  const bytesOf = (count: number) => plan.arenaBytes + shared + count * (plan.localBytes + thread) + schedules(count);
  return { constants, each: threads.map(bytesOf) };
}

/** @throws InputError where a plan takes more memory than is allowed, or than can be addressed */
export function requirePlanned(plan: Plan, work: Work, contexts: Contexts, options: MemoryOptions): void {
  const { constants, each } = plannedBytes(plan, work, contexts);
  const { copies, addressable = Infinity } = contexts;
  const one = constants + Math.max(...each);
  if (one > addressable)
    throw new InputError(
      `The model takes up to ${one} bytes of memory, more than the ${addressable} that WebAssembly can address: run ` +
        'it on native code',
    );
  requireMemory({ constants, copies, rest: each.reduce((sum, bytes) => sum + bytes, 0) }, work.ops, options);
}

/** Blocks of one thread are as large as the plan says; those of several may be as small as the register tile. */
function scheduleBytes({ steps }: Plan, { runs, uses, blockRows }: Stage, threads: number, tile: Tile): number {
  const blocks = floorDivide(countRows(runs), threads === 1 ? blockRows : tile.rows) + 4 * runs.length;
  const op = steps[uses[0].step].op;
  return BLOCK_BYTES * (op?.op === 'attention' ? blocks * op.heads + op.batch : blocks);
}
