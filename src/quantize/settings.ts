import type { FitOptions } from './fit/weight-correction.js';
import type { QuantizeOptions } from './options.js';
import type { RangeOptions } from './decide/scales.js';

/** Settings of one run: the user's options, and each technique on its own, so that an ablation can leave one out. */
export interface SequenceSettings {
  readonly options: QuantizeOptions;
  readonly range: RangeOptions;
  readonly fit: FitOptions;
  /** The scales of linear layers' inputs differ from channel to channel, as far as that lessens the error. */
  readonly perChannelInputs: boolean;
  /** Layers that compute no more rows than this cost next to nothing, so their inputs get 16 bits. */
  readonly fewRows: number;
  /** Such layers get more bits of weights, too, where the logits are sensitive to them. */
  readonly secondWeightPlanes: boolean;
  /** The inputs and softmax weights that the logits are most sensitive to get more bits, up to this share of multiply-adds more. */
  readonly sensitiveWork: number;
}
