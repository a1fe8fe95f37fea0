import { WEIGHT_BITS } from '../program/ops/linear.js';
import type { RangeMethod } from './decide/ranges.js';

export { WEIGHT_BITS };

export const KERNEL_SETS = ['shift', 'lut', 'paper', 'ibert', 'float'] as const;
/** Which integer kernels stand for softmax, GELU and LayerNorm; see docs/architecture.md. */
export type KernelSet = (typeof KERNEL_SETS)[number];

export const SCALE_MODES = ['static', 'dynamic'] as const;
/** Activation scales: calibrated once, or each row's own maximum at run time. */
export type ScaleMode = (typeof SCALE_MODES)[number];

/** `none`: nothing is fitted, as in papers that leave it to training. */
export const EFFORTS = ['none', 'fast', 'normal', 'best'] as const;
export type Effort = (typeof EFFORTS)[number];

/** Bits of the linear layers whose name a glob pattern matches; the last match counts. */
export interface PatternBits<T extends number> {
  readonly pattern: string;
  readonly bits: T;
}

/** Of their inputs. */
export type LayerBits = PatternBits<8 | 16>;

export type WeightBits = (typeof WEIGHT_BITS)[number];

export interface QuantizeOptions {
  readonly kernels: KernelSet;
  readonly scales: ScaleMode;
  readonly method: RangeMethod;
  readonly effort: Effort;
  /** Bits of every linear layer's weights, unless there is a target. */
  readonly weightBits: WeightBits;
  /** Of those of some layers. */
  readonly layerWeightBits: readonly PatternBits<WeightBits>[];
  readonly layerBits: readonly LayerBits[];
  /** What all weights together may take, each layer as many bits as it needs; null: as many as `weightBits` says. */
  readonly target: Target | null;
}

/**
 * Bits of a weight on average, 2 to 8; or bytes of the whole file; or the fewest with which at most `drop` per cent
 * of the images held out are decided otherwise than by the float model.
 */
export type Target = { readonly bits: number } | { readonly bytes: number } | { readonly drop: number };

export const DEFAULT_OPTIONS: QuantizeOptions = {
  kernels: 'shift',
  scales: 'static',
  method: 'minmax',
  effort: 'normal',
  weightBits: 8,
  layerWeightBits: [],
  layerBits: [],
  target: null,
};
