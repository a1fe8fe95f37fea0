import type { MemoryOptions } from '../program/budget.js';
import type { Op, Output, Program } from '../program/types.js';
import type { IntegerArray } from '../program/value.js';

export const BACKENDS = ['native', 'wasm', 'reference'] as const;
export type BackendName = (typeof BACKENDS)[number];

/** A value of a program while it runs. */
export interface Value {
  readonly out: Output;
  readonly rows: number;
  readonly cols: number;
  /** Uint8Array for `u8` and `rows`, Int8Array for `i8`, Int16Array for `i16`, Int32Array for `i32`. */
  readonly data: IntegerArray;
  /** One scale M' a row where `out.type` is `rows`, else null. */
  readonly rowScale: Int32Array | null;
}

/**
 * Runs single ops on given operands: what quantization uses to push the calibration images through the layers it has
 * built so far. Every backend gives the same integers.
 */
export interface OpRunner {
  readonly backend: BackendName;
  /**
   * Packs the op's constants once; `operands` describes (type, shape) what it will be run on, in the order of
   * `operandsOf(op)`.
   */
  load(op: Op, operands: readonly Omit<Value, 'data' | 'rowScale'>[], input: Program['input']): LoadedOp;
  close(): void;
}

export interface LoadedOp {
  /**
   * The result may be kept.
   *
   * @param spare a value of the result's type and shape that nobody reads any more: its arrays may be taken for it
   */
  run(operands: readonly Value[], spare?: Value): Value;
  free(): void;
}

/** Runs whole programs. */
export interface Engine {
  readonly backend: BackendName;
  /** Which instruction set runs: `amx`, `avx512vnni`, `avx2`, `neon-dot`, `simd128`, `scalar`, … */
  readonly isa: string;
  readonly threads: number;
  /** @param pixels u8 HWC of the program's input size. @returns the output value, a copy */
  run(pixels: Uint8Array): Promise<Int32Array>;
  /** Several images across threads; results in order. */
  runAll(images: readonly Uint8Array[]): Promise<Int32Array[]>;
  close(): Promise<void>;
}

export interface EngineOptions extends MemoryOptions {
  /** Default: the first of native, wasm, reference that loads. */
  readonly backend?: BackendName;
  /** Default: all cores. */
  readonly threads?: number;
}
