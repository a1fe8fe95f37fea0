import type { Encoding } from '../decide/encoding.js';

/** How the inputs of linear layers are scaled: one object for each value of `--scales`. */
export interface InputScheme {
  /** Whether a gather of whole rows hands the quantized values through. */
  readonly survivesGather: boolean;
  /** Whether ranges are symmetric about zero. */
  readonly aboutZero: boolean;
  /** Whether another than the middle value may stand for zero. */
  readonly movesZero: boolean;
  /** Whether ranges can clip, and are worth choosing. */
  readonly canClip: boolean;
  /** The greatest migration strength to choose. */
  readonly mostAlpha: number;
  /**
   * What more bits of sensitive inputs and softmax weights may cost, as a share of all multiply-adds of linear layers
   * in 8 bits.
   */
  readonly sensitiveWork: number;
  /** The same of a model that would be poor else. */
  readonly poorWork: number;
  /** The encoding of channels that reach `half` to either side of `center`. */
  encode(half: Float64Array, center: Float64Array): Encoding;
}
