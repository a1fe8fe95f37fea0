import type { Op, Program } from '../../program/types.js';
import type { ValueSpec } from '../values.js';

/** What a plan is made for: a whole program, or one op on given operands. */
export interface Work {
  readonly inputs: readonly ValueSpec[];
  readonly ops: readonly Op[];
  /** For each op the values it reads: input i is value i, op i writes value inputs.length + i. */
  readonly operands: readonly (readonly number[])[];
  readonly output: number;
  readonly image: Program['input'];
}

/** The register tile of the GEMM: blocks of rows and ranges of columns follow it. */
export interface Tile {
  readonly rows: number;
  readonly cols: number;
  /** Bytes of a block's values in one stage, where the instruction set or the machine's caches want others. */
  readonly blockBytes?: number;
}

/**
 * One thing a kernel does. An op is one step, but that a linear layer or attention with dynamic output is two: itself,
 * writing û, and `quantize`, by the maxima of the rows.
 */
export interface Step {
  /** null: `quantize`. */
  readonly op: Op | null;
  readonly out: number;
  readonly operands: readonly number[];
}

/** Rows [first, end). */
export type Run = readonly [number, number];

/** The part of a step that anybody reads: columns [n0, n1) of some rows. */
export interface Use {
  readonly step: number;
  readonly n0: number;
  readonly n1: number;
  readonly runs: readonly Run[];
}

/**
 * Steps that a block of rows runs through one after another; an attention is a stage by itself. What a stage reads from
 * other rows was finished by a stage before it.
 */
export interface Stage {
  readonly attention: boolean;
  readonly blockRows: number;
  readonly runs: readonly Run[];
  readonly uses: readonly Use[];
}

/** `local`: within the running thread's memory, from the block's first row on; offsets in bytes. */
export interface Place {
  readonly place: 'arena' | 'local' | 'constant';
  readonly offset: number;
  readonly scaleOffset: number;
}

export interface Plan {
  readonly values: readonly ValueSpec[];
  readonly places: readonly Place[];
  readonly steps: readonly Step[];
  readonly stages: readonly Stage[];
  readonly arenaBytes: number;
  readonly localBytes: number;
}
