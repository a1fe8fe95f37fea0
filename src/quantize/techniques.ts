import type { RangeOptions } from './decide/reach.js';
import type { FitOptions } from './fit/linear.js';
import type { QuantizeOptions } from './options.js';

/** So few rows of a layer cost next to nothing, and get 16-bit inputs. */
export const FEW_ROWS = 4;

/** The quantizer's techniques, each on its own, so that an ablation can leave one out. */
export interface Techniques {
  readonly range: RangeOptions;
  readonly fit: FitOptions;
  /** The rows that the output reads get layers of their own. */
  readonly separatesOutputRows: boolean;
  /**
   * Scales are chosen for the least error; false: those of linear layers' inputs are as the ranges were observed, and
   * those of attention's operands are the same for a whole tensor.
   */
  readonly choosesScales: boolean;
  /** The scales of linear layers' inputs differ from channel to channel, as far as that lessens the error. */
  readonly perChannelInputs: boolean;
  /** Layers that compute no more rows than this cost next to nothing, so their inputs get 16 bits. */
  readonly fewRows: number;
  /** Such layers get a residual weight plane, too, where the logits are sensitive to their weights. */
  readonly residualPlanes: boolean;
  /**
   * The inputs and softmax weights that the logits are most sensitive to get more bits, up to this share of
   * multiply-adds more.
   */
  readonly sensitiveWork: number;
  /** The same of a model that would be poor else. */
  readonly poorWork: number;
  /** The share of the margin of 16 bits above the largest values seen that is kept: 1, or less for finer steps. */
  readonly room: number;
}

/** None of them: one symmetric scale for each tensor, ranges as observed, weights rounded to the nearest. */
export const plainTechniques = ({ method, weightBits }: QuantizeOptions): Techniques => ({
  range: { method, rangeMargins: [1], clipWeight: 0, centred: false },
  fit: { weightBits, ridges: [], roundsInOrder: false, correctsBias: false },
  separatesOutputRows: false,
  choosesScales: false,
  perChannelInputs: false,
  fewRows: 0,
  residualPlanes: false,
  sensitiveWork: 0,
  poorWork: 0,
  room: 1,
});
