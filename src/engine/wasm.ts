import { mostBytes, type MemoryOptions } from '../program/budget.js';
import type { Op, Program } from '../program/types.js';
import type { IntegerArray } from '../program/value.js';
import { requireIntegers } from '../program/integer-only.js';
import { clock } from './clock.js';
import { encodeHeader, encodeLayout, encodeSteps } from './encode.js';
import { memoryError } from './memory-error.js';
import { requirePlanned } from './plan/budget.js';
import type { WasmExports } from './wasm-exports.js';
import { describeTimes } from './profile.js';
import type { Profiler, StepProfile } from './profile.js';
import { planWork, workOfOp, workOfProgram } from './plan/index.js';
import type { Plan, Work } from './plan/index.js';
import type { LoadedOp, OpRunner } from './types.js';
import { allocate, checkOperands, imageData } from './values.js';
import type { ValueData, ValueSpec } from './values.js';

function instantiate(module: WebAssembly.Module): WasmExports {
  return new WebAssembly.Instance(module, { host: { clock } }).exports as unknown as WasmExports;
}

/**
 * The instruction set that a module runs with: its own, or `portable` where native/wasm/product.h finds that the engine
 * computes the relaxed dot product otherwise than the kernels need.
 */
export function isaOf(module: WebAssembly.Module): string {
  const { memory, ivit_isa_name } = instantiate(module);
  return readName(memory, ivit_isa_name());
}

function readName(memory: WebAssembly.Memory, address: number): string {
  const bytes = new Uint8Array(memory.buffer, address);
  return String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0)));
}

type Bytes = Uint8Array | IntegerArray | BigInt64Array;

/** A loaded program, to be copied into other instances: its memory and where things lie there. */
export interface Snapshot {
  readonly module: WebAssembly.Module;
  readonly memory: SharedArrayBuffer;
  readonly context: number;
  readonly input: number;
  readonly output: number;
  readonly outputLength: number;
}

export interface WasmOptions extends MemoryOptions {
  /** How many copies of the instance will be at work beside it. */
  readonly workers?: number;
}

/** Less than an address of 32 bits reaches. */
const MOST_BYTES = 2 ** 32 - 2 ** 20;

/** Work loaded into a WebAssembly instance of its own: the weights packed, every buffer in place. */
export class WasmProgram {
  readonly isa: string;
  private readonly plan: Plan;
  private readonly kernels: WasmExports;
  private readonly context: number;

  constructor(
    private readonly module: WebAssembly.Module,
    private readonly work: Work,
    options: WasmOptions = {},
  ) {
    requireIntegers(work, 'WebAssembly has integer kernels alone: take --backend native, or reference');
    const kernels = (this.kernels = instantiate(module));
    this.isa = readName(kernels.memory, kernels.ivit_isa_name());
    const tile = { rows: kernels.ivit_tile_rows(), cols: kernels.ivit_tile_cols() };
    const plan = (this.plan = planWork(work, tile));
    const copies = 1 + (options.workers ?? 0);
    const threads = Array.from({ length: copies }, () => 1);
    requirePlanned(plan, work, { threads, copies, tile, addressable: MOST_BYTES }, options);
    try {
      this.context = this.load(Math.min(mostBytes(work.ops, options), MOST_BYTES));
    } catch (error) {
      throw memoryError(error);
    }
  }

  /** @returns the address of the context */
  private load(maxBytes: number): number {
    const { kernels, plan, work } = this;
    // Steps pass through one staging area, one after another.
    const header = encodeHeader(plan, maxBytes);
    const layout = encodeLayout(plan);
    const steps = encodeSteps(plan, work);
    const sizes = steps.map(({ words, constants }) =>
      stagedBytes([words, new Int32Array(constants.length), ...constants]),
    );
    const staging = kernels.ivit_allocate(
      sizes.reduce((most, size) => Math.max(most, size), Math.max(stagedBytes([header]), stagedBytes([layout]))),
    );

    const program = kernels.ivit_program_create(kernels.ivit_default_isa(), this.stage(staging, [header])[0]);
    steps.forEach(({ words, constants }, i) => {
      const addresses = new Int32Array(constants.length);
      const [wordsAt, addressesAt, ...constantsAt] = this.stage(staging, [words, addresses, ...constants]);
      this.write(addressesAt, Int32Array.from(constantsAt));
      kernels.ivit_program_step(program, i, wordsAt, addressesAt);
    });
    kernels.ivit_program_layout(program, this.stage(staging, [layout])[0]);
    return kernels.ivit_context_create(program, 1);
  }

  /** Runs the work. @returns the output, a copy */
  run(inputs: readonly ValueData[]): ValueData {
    const { kernels, context } = this;
    checkOperands(this.work.inputs, inputs);
    inputs.forEach(({ data, rowScale }, id) => {
      this.write(kernels.ivit_context_data(context, id), data);
      if (rowScale !== null) this.write(kernels.ivit_context_scale(context, id), rowScale);
    });
    kernels.ivit_context_begin(context);
    kernels.ivit_context_run(context, 0);

    const output = this.work.output;
    const { data, rowScale } = allocate(this.work.ops[output - this.work.inputs.length]);
    this.read(kernels.ivit_context_data(context, output), data);
    if (rowScale !== null) this.read(kernels.ivit_context_scale(context, output), rowScale);
    return { data, rowScale };
  }

  /** What another instance of the module needs to run a program's images. */
  snapshot(): Snapshot {
    const { kernels, context, work } = this;
    const memory = new SharedArrayBuffer(kernels.memory.buffer.byteLength);
    new Uint8Array(memory).set(new Uint8Array(kernels.memory.buffer));
    const { rows, cols } = work.ops[work.output - work.inputs.length];
    return {
      module: this.module,
      memory,
      context,
      input: kernels.ivit_context_data(context, 0),
      output: kernels.ivit_context_data(context, work.output),
      outputLength: rows * cols,
    };
  }

  /** Runs the work and tells what each step cost. */
  profile(inputs: readonly ValueData[]): StepProfile[] {
    const { kernels, context, plan } = this;
    const times = new BigInt64Array(plan.steps.length);
    const address = kernels.ivit_allocate(times.byteLength);
    kernels.ivit_context_profile(context, address);
    this.run(inputs);
    kernels.ivit_context_profile(context, 0);
    this.read(address, times);
    return describeTimes(plan, times);
  }

  /** Copies arrays into the staging area. @returns their addresses, 0 for null */
  private stage(staging: number, arrays: readonly (Bytes | null)[]): number[] {
    let at = staging;
    return arrays.map((array) => {
      if (array === null) return 0;
      const address = at;
      this.write(address, array);
      at += padded(array.byteLength);
      return address;
    });
  }

  private write(address: number, { buffer, byteOffset, byteLength }: Bytes): void {
    new Uint8Array(this.kernels.memory.buffer).set(new Uint8Array(buffer, byteOffset, byteLength), address);
  }

  private read(address: number, { buffer, byteOffset, byteLength }: Bytes): void {
    new Uint8Array(buffer, byteOffset, byteLength).set(new Uint8Array(this.kernels.memory.buffer, address, byteLength));
  }
}

function stagedBytes(arrays: readonly (Bytes | null)[]): number {
  return arrays.reduce((sum, array) => sum + (array === null ? 0 : padded(array.byteLength)), 0);
}

/** native/ivit.h, IVIT_ALIGN. */
function padded(bytes: number): number {
  return (bytes + 63) & ~63;
}

export function createWasmRunner(module: WebAssembly.Module): OpRunner {
  return {
    backend: 'wasm',
    load: (op, operands, input) => loadOp(module, op, operands, input),
    close: () => undefined,
  };
}

function loadOp(module: WebAssembly.Module, op: Op, operands: readonly ValueSpec[], input: Program['input']): LoadedOp {
  let program: WasmProgram | null = new WasmProgram(module, workOfOp(op, operands, input), {
    maxMemory: Infinity,
  });
  return {
    run(values) {
      if (program === null) throw new Error(`The op ${op.name} was freed`);
      return { out: op.out, rows: op.rows, cols: op.cols, ...program.run(values) };
    },
    free() {
      program = null;
    },
  };
}

export function createWasmProfiler(
  module: WebAssembly.Module,
  program: Program,
  options: MemoryOptions = {},
): Profiler {
  const loaded = new WasmProgram(module, workOfProgram(program), options);
  return {
    isa: loaded.isa,
    run: (pixels) => loaded.profile([imageData(pixels)]),
    close: () => undefined,
  };
}
