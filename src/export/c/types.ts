import type { Step, Work } from '../../engine/plan/types.js';
import type { ValueSpec } from '../../engine/values.js';
import type { Inner } from './inner.js';

/** Rows [first, end) of a stage, and the steps that each block of them goes through, in order. */
export interface Segment {
  readonly first: number;
  readonly end: number;
  readonly steps: readonly number[];
}

/** Steps that a block of rows goes through one after another; what they read of other rows, stages before have made. */
export interface CStage {
  readonly steps: readonly number[];
  readonly segments: readonly Segment[];
}

export interface Lowered {
  readonly work: Work;
  readonly values: readonly ValueSpec[];
  readonly steps: readonly Step[];
  readonly stages: readonly CStage[];
  /** Rows of a block. */
  readonly tile: number;
  readonly inner: ReadonlyMap<number, Inner>;
}

/**
 * Where a value lies: `pixels` and `out` are the caller's, constants in flash, `whole` and `block` in the arena at an
 * offset in bytes. Of a `block` the rows of one block are there.
 */
export interface CPlace {
  readonly kind: 'pixels' | 'out' | 'constant' | 'whole' | 'block';
  readonly offset: number;
  /** Of the scales of its rows. */
  readonly scaleOffset: number;
}

export interface CPlan extends Lowered {
  readonly places: readonly CPlace[];
  /** By step: where it may work, and what it keeps between blocks; offsets in the arena. */
  readonly scratch: readonly number[];
  readonly kept: readonly number[];
  readonly arenaBytes: number;
  /** By step, in order: bytes of the arena that hold something while it runs. */
  readonly bytes: readonly { readonly step: number; readonly bytes: number }[];
}
