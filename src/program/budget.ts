/**
 * The memory that a program takes to run, from its own numbers, before any of it is allocated. All sizes are numbers:
 * they do not wrap, and where they pass 2^53 the last digits matter no more.
 */
import { InputError } from '../errors.js';
import { MAX_MEMORY, WEIGHT_FACTOR } from './limits.js';
import { padded, type OpMemory } from './ops/definition.js';
import { definitionOf, type Op } from './ops/index.js';
import type { Program } from './types.js';
import { tensorsOf } from './tensors.js';
import { valuesOf } from './validate.js';
import { bytesOf, type ValueInfo } from './value.js';

/** How much memory may be used: bytes beyond `WEIGHT_FACTOR` times those of the tensors. Default: `MAX_MEMORY`. */
export interface MemoryOptions {
  readonly maxMemory?: number;
}

/** Bytes that engines keep for each channel of a row, and use while they compute one. */
const ROW_BYTES = 32;

/** Bytes of a value, the scales of its rows included. */
function valueBytes({ out, rows, cols }: ValueInfo): number {
  return rows * cols * bytesOf(out.type) + (out.type === 'rows' ? 4 * rows : 0);
}

/** What all ops take together: constants and shared memory of each, and the most that any wants of a thread. */
export function memoryOfOps(ops: readonly Op[]): OpMemory {
  const sum = { constants: 0, shared: 0, thread: 0 };
  for (const op of ops) {
    const own = memoryOfOp(op);
    sum.constants += own.constants;
    sum.shared = Math.max(sum.shared, own.shared);
    sum.thread = Math.max(sum.thread, own.thread);
  }
  return sum;
}

function memoryOfOp(op: Op): OpMemory {
  const tensors = tensorsOf(op).reduce(
    (sum, [, { length, BYTES_PER_ELEMENT }]) => sum + padded(length) * BYTES_PER_ELEMENT,
    0,
  );
  const row = ROW_BYTES * padded(op.cols);
  const own = definitionOf(op).memory?.(op) ?? { constants: 0, shared: 0, thread: 0 };
  return { constants: tensors + row + own.constants, shared: own.shared, thread: row + own.thread };
}

/** Bytes of the tensors of a program; those of tied weights count once. */
function tensorBytes(ops: readonly Op[]): number {
  return ops.reduce((sum, op) => tensorsOf(op).reduce((part, [, { byteLength }]) => part + byteLength, sum), 0);
}

/** Bytes that running a program takes. */
interface Demand {
  /** Its constants as they are packed. */
  readonly constants: number;
  /** How often they are there: once for each instance of WebAssembly. */
  readonly copies: number;
  readonly rest: number;
}

/**
 * Refuses a program that would take more memory than is allowed. What its weights take is counted only where it is more
 * than `WEIGHT_FACTOR` times their size in the file.
 *
 * @throws InputError that says how much it wants
 */
export function requireMemory(
  { constants, copies, rest }: Demand,
  ops: readonly Op[],
  { maxMemory = MAX_MEMORY }: MemoryOptions,
): void {
  const wanted = copies * Math.max(0, constants - WEIGHT_FACTOR * tensorBytes(ops)) + rest;
  if (wanted <= maxMemory) return;
  throw new InputError(
    `The model takes ${wanted} bytes of memory beyond its weights, more than the ${maxMemory} allowed; fewer threads ` +
      'take less, and --max-memory allows more where the model can be trusted',
    { code: 'NO_MEMORY' },
  );
}

/** The most bytes that one part of an engine may allocate: see `requireMemory`. */
export function mostBytes(ops: readonly Op[], { maxMemory = MAX_MEMORY }: MemoryOptions): number {
  return maxMemory + WEIGHT_FACTOR * tensorBytes(ops);
}

/**
 * Refuses a program whose values, constants and workspace take more than is allowed even on one thread.
 *
 * @param program one that `validateProgram` has passed
 */
export function checkMemory(program: Program, options: MemoryOptions = {}): void {
  const { constants, shared, thread } = memoryOfOps(program.ops);
  requireMemory({ constants, copies: 1, rest: mostAlive(program) + shared + thread }, program.ops, options);
}

/** Bytes of the values that exist at once: each from the op that writes it to the last one that reads it. */
function mostAlive(program: Program): number {
  const { ops, output } = program;
  const values = valuesOf(program);
  const last = new Array<number>(values.length).fill(-1);
  ops.forEach((op, i) =>
    definitionOf(op)
      .operands(op)
      .forEach((id) => (last[id] = i)),
  );
  last[output] = ops.length;
  const ending: number[][] = ops.map(() => []);
  last.forEach((at, id) => ending[at]?.push(id));
  let alive = valueBytes(values[0]);
  let most = alive;
  ops.forEach((_, i) => {
    alive += valueBytes(values[i + 1]);
    most = Math.max(most, alive);
    for (const id of ending[i]) alive -= valueBytes(values[id]);
    if (last[i + 1] < 0) alive -= valueBytes(values[i + 1]);
  });
  return most;
}
