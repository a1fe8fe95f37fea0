import { encodeHeader, encodeLayout, encodeStep } from './encode.js';
import type { Constant } from './encode.js';
import { planWork, workOfOp, workOfProgram } from './plan.js';
import type { Work } from './plan.js';
import { allocate } from './reference.js';
import type { Program } from '../program/types.js';
import type { Engine, OpRunner, Value } from './types.js';

declare const handleBrand: unique symbol;
/** A program in native memory. */
type Handle = { readonly [handleBrand]: never };
type Array8To32 = Value['data'];

/** What native/addon.c exports. */
export interface NativeKernels {
  describe(isa: string | null): [name: string, tileRows: number, tileCols: number] | null;
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
  runAll(handle: Handle, images: readonly Uint8Array[], output: number, outputs: readonly Int32Array[]): Promise<void>;
}

/** The instruction sets of native/isa.c, best first. */
export const NATIVE_ISAS = ['avx512vnni', 'portable'] as const;

/** Those that this machine has. */
export function nativeIsas(kernels: NativeKernels): string[] {
  return NATIVE_ISAS.filter((isa) => kernels.describe(isa) !== null);
}

function create(kernels: NativeKernels, work: Work, threads: number, isa: string | null): { handle: Handle; isa: string } {
  const description = kernels.describe(isa);
  if (description === null) throw new Error(`This machine lacks the instruction set ${isa}`);
  const [name, rows, cols] = description;
  const plan = planWork(work, { rows, cols });
  const steps = plan.steps.map((step) => {
    const { words, constants } = encodeStep(step, plan, work);
    return [words, constants] as const;
  });
  return { handle: kernels.create(name, encodeHeader(plan), steps, encodeLayout(plan), threads), isa: name };
}

/** @param isa one of `nativeIsas`; default: the best */
export function createNativeRunner(kernels: NativeKernels, isa: string | null = null): OpRunner {
  return {
    backend: 'native',
    load(op, operands, input) {
      const { handle } = create(kernels, workOfOp(op, operands, input), 1, isa);
      return {
        run(values) {
          const result = allocate(op);
          const inputs = values.flatMap(({ data, rowScale }) => [data, rowScale]);
          kernels.run(handle, inputs, operands.length, result.data, result.rowScale);
          return result;
        },
        free: () => kernels.close(handle),
      };
    },
    close: () => undefined,
  };
}

/** @param isa one of `nativeIsas`; default: the best */
export function createNativeEngine(kernels: NativeKernels, program: Program, threads: number, isa: string | null = null): Engine {
  const created = create(kernels, workOfProgram(program), threads, isa);
  const { rows, cols } = program.ops[program.output - 1];
  // The add-on takes one batch at a time.
  let last: Promise<unknown> = Promise.resolve();
  const runAll = async (images: readonly Uint8Array[]): Promise<Int32Array[]> => {
    const outputs = images.map(() => new Int32Array(rows * cols));
    const batch = last.then(() => kernels.runAll(created.handle, images, program.output, outputs));
    last = batch.catch(() => undefined);
    await batch;
    return outputs;
  };
  return {
    backend: 'native',
    isa: created.isa,
    threads,
    run: async (pixels) => (await runAll([pixels]))[0],
    runAll,
    close: () => last.then(() => kernels.close(created.handle)),
  };
}
