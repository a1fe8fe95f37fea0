import type { Op, Output, Program } from '../../program/types.js';
import type { Plan, Run, Step, Work } from '../plan/types.js';
import type { Value } from '../types.js';
import type { ValueSpec } from '../values.js';

/** An array that the C kernels copy or pack when a step is loaded. */
export type Constant = Int8Array | Int16Array | Int32Array | BigInt64Array;

/** The words of an op by name, in order, and how many each takes; `REST`: all that are left. */
export type WordLayout = Readonly<Record<string, number>>;

/** Of the last name of a layout. */
export const REST = 0;

/** An op as native/program reads it: its words and constants by name. */
export interface EncodedOp {
  readonly words: Readonly<Record<string, number | readonly number[]>>;
  readonly constants: Readonly<Record<string, Constant | null>>;
}

/** What an op's encoding may depend on. */
export interface Surroundings {
  readonly plan: Plan;
  readonly work: Work;
  /** The op's own step. */
  readonly index: number;
  /** By index of an op: its step in the plan. */
  readonly stepOf: readonly number[];
}

/** Asks for rows, all columns or some, of a value. */
export type Request = (id: number, runs: readonly Run[], columns?: Run) => void;

/** How the engines handle one kind of op. */
export interface EngineOp<T extends Op> {
  /** Runs it with `src/kernels`: slow, readable, what every other backend must equal bit for bit. */
  run(op: T, operands: readonly Value[], input: Program['input']): Value;
  /** What native/generated.h is made from, beside its kind. */
  readonly words: WordLayout;
  /** The constants by name, in order. */
  readonly constants: readonly string[];
  encode(op: T, surroundings: Surroundings): EncodedOp;
  /**
   * Asks for what rows `runs` read of the operands. Left out: the same rows, in the row length that `readLength` says.
   */
  request?(step: Step & { readonly op: T }, runs: readonly Run[], values: readonly ValueSpec[], request: Request): void;
  /** The row length in which operand i is read. Left out: the op's own columns. */
  readLength?(op: T, i: number): number;
  /** Whether row r needs just row r of operand i. Left out: where that has as many rows, of `readLength`. */
  isRowLocal?(op: T, operands: readonly ValueSpec[], i: number): boolean;
  /** It can write some of its columns alone. */
  readonly cutsColumns?: true;
  /** It writes û where its output is dynamic; a step of its own quantizes that. */
  readonly quantizesApart?: true;
  /** Multiply-adds in matrix products for `rows` rows and `cols` columns of the result; 0 where left out. */
  multiplications?(op: T, rows: number, cols: number, x: Output): number;
}

/**
 * Inputs of 16 bits and softmax weights of 12 are multiplied as two planes of bytes, where the machine multiplies
 * bytes.
 */
export const planes = (isWide: boolean): number => (isWide ? 2 : 1);
