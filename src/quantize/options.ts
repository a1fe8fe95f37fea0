import type { RangeMethod } from './decide/ranges.js';

export const KERNEL_SETS = ['shift', 'lut', 'paper'] as const;
/** Which integer kernels stand for softmax, GELU and LayerNorm; see docs/architecture.md. */
export type KernelSet = (typeof KERNEL_SETS)[number];

export const SCALE_MODES = ['static', 'dynamic'] as const;
/** Activation scales: calibrated once, or each row's own maximum at run time. */
export type ScaleMode = (typeof SCALE_MODES)[number];

export const EFFORTS = ['fast', 'normal', 'best'] as const;
export type Effort = (typeof EFFORTS)[number];

/** Input bits of the linear layers whose name a glob pattern matches; the last match counts. */
export interface LayerBits {
  readonly pattern: string;
  readonly bits: 8 | 16;
}

export interface QuantizeOptions {
  readonly kernels: KernelSet;
  readonly scales: ScaleMode;
  readonly method: RangeMethod;
  readonly effort: Effort;
  /** Bits of every linear layer's weights. */
  readonly weightBits: 4 | 6 | 8;
  readonly layerBits: readonly LayerBits[];
}

export const DEFAULT_OPTIONS: QuantizeOptions = {
  kernels: 'shift',
  scales: 'static',
  method: 'minmax',
  effort: 'normal',
  weightBits: 8,
  layerBits: [],
};
