import { Batcher } from './batcher.js';
import { encodeHeader, encodeLayout, encodeSteps } from './encode.js';
import type { Constant } from './encode.js';
import { planWork, workOfOp, workOfProgram } from './plan/index.js';
import type { Plan, Work } from './plan/index.js';
import { countMultiplications, describeTimes } from './profile.js';
import type { Profiler } from './profile.js';
import { mostBytes, type MemoryOptions } from '../program/budget.js';
import type { Program } from '../program/types.js';
import { memoryError } from './memory-error.js';
import { requirePlanned } from './plan/budget.js';
import type { Engine, OpRunner, Value } from './types.js';
import { allocate, checkOperands, imageData } from './values.js';

declare const handleBrand: unique symbol;
/** A program in native memory. */
type Handle = { readonly [handleBrand]: never };
type Array8To32 = Value['data'];

/** What native/addon.c exports. */
export interface NativeKernels {
  /** The instruction sets that this machine can run, best first. */
  isas(): string[];
  describe(isa: string | null): [name: string, tileRows: number, tileCols: number, blockBytes: number] | null;
  create(
    isa: string,
    header: Int32Array,
    steps: readonly (readonly [words: Int32Array, constants: readonly (Constant | null)[]])[],
    layout: Int32Array,
    threads: number,
  ): Handle;
  close(handle: Handle): void;
  run(
    handle: Handle,
    inputs: readonly (Array8To32 | null)[],
    output: number,
    outputData: Array8To32,
    outputScale: Int32Array | null,
  ): void;
  /** One run; adds the nanoseconds of each thread in each step to `times`, [threads][steps]. */
  profile(handle: Handle, image: Uint8Array, times: BigInt64Array): void;
  /** Multiply-adds of one thread on registers alone, and the nanoseconds they took; null where an isa cannot tell. */
  measurePeak(isa: string, rounds: number): [count: number, nanoseconds: number] | null;
  runAll(handle: Handle, images: readonly Uint8Array[], output: number, outputs: readonly Int32Array[]): Promise<void>;
  /** Gives memory that is free back to the system, where the C library keeps it. */
  trim(): void;
}

interface Created {
  readonly handle: Handle;
  readonly isa: string;
  readonly plan: Plan;
}

interface CreateOptions extends MemoryOptions {
  readonly threads: number;
  readonly isa: string | null;
  /** Whether images that come together take one thread each. */
  readonly sideBySide?: true;
}

function create(kernels: NativeKernels, work: Work, options: CreateOptions): Created {
  const { threads, isa, sideBySide } = options;
  const description = kernels.describe(isa);
  if (description === null) throw new Error(`This machine lacks the instruction set ${isa}`);
  const [name, rows, cols, blockBytes] = description;
  const tile = { rows, cols, ...(blockBytes > 0 && { blockBytes }) };
  const plan = planWork(work, tile);
  const apart = sideBySide && threads > 1 ? Array.from({ length: threads }, () => 1) : [];
  requirePlanned(plan, work, { threads: [threads, ...apart], copies: 1, tile }, options);
  const steps = encodeSteps(plan, work).map(({ words, constants }) => [words, constants] as const);
  const header = encodeHeader(plan, mostBytes(work.ops, options));
  try {
    return { handle: kernels.create(name, header, steps, encodeLayout(plan), threads), isa: name, plan };
  } catch (error) {
    throw memoryError(error);
  }
}

/** @param isa one of `kernels.isas()`; default: the best */
export function createNativeRunner(kernels: NativeKernels, isa: string | null = null): OpRunner {
  return {
    backend: 'native',
    load(op, operands, input) {
      const work = workOfOp(op, operands, input);
      const { handle } = create(kernels, work, { threads: 1, isa, maxMemory: Infinity });
      return {
        run(values, spare) {
          checkOperands(work.inputs, values);
          const result = { ...(spare ?? allocate(op)), out: op.out };
          const inputs = values.flatMap(({ data, rowScale }) => [data, rowScale]);
          kernels.run(handle, inputs, work.output, result.data, result.rowScale);
          return result;
        },
        free: () => kernels.close(handle),
      };
    },
    close: () => undefined,
  };
}

/**
 * All threads work on an image that comes alone; images that come together take one thread each.
 *
 * @param isa one of `kernels.isas()`; default: the best
 */
export function createNativeEngine(
  kernels: NativeKernels,
  program: Program,
  threads: number,
  isa: string | null = null,
  options: MemoryOptions = {},
): Engine {
  const work = workOfProgram(program);
  const created = create(kernels, work, { ...options, threads, isa, sideBySide: true });
  const { rows, cols } = program.ops[program.output - 1];
  // The add-on takes one batch at a time.
  let last: Promise<unknown> = Promise.resolve();
  const runAll = async (images: readonly Uint8Array[]): Promise<Int32Array[]> => {
    for (const pixels of images) checkOperands(work.inputs, [imageData(pixels)]);
    const outputs = images.map(() => new Int32Array(rows * cols));
    const batch = last.then(() => kernels.runAll(created.handle, images, program.output, outputs));
    last = batch.catch(() => undefined);
    await batch.catch((error: unknown) => {
      throw memoryError(error);
    });
    return outputs;
  };
  const batcher = new Batcher(runAll);
  return {
    backend: 'native',
    isa: created.isa,
    threads,
    run: (pixels) => batcher.run(pixels),
    runAll,
    close: () => last.then(() => kernels.close(created.handle)),
  };
}

/**
 * An engine that tells the time of every step, on the calling thread and `threads` − 1 others.
 *
 * @param isa one of `kernels.isas()`; default: the best
 */
export function createNativeProfiler(
  kernels: NativeKernels,
  program: Program,
  threads: number,
  options: MemoryOptions = {},
  isa: string | null = null,
): Profiler {
  const work = workOfProgram(program);
  const { handle, isa: name, plan } = create(kernels, work, { ...options, threads, isa });
  const counts = countMultiplications(plan);
  return {
    isa: name,
    run(pixels) {
      checkOperands(work.inputs, [imageData(pixels)]);
      const times = new BigInt64Array(threads * plan.steps.length);
      kernels.profile(handle, pixels, times);
      return describeTimes(plan, times, counts);
    },
    close: () => kernels.close(handle),
  };
}
