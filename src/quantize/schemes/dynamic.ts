import type { InputScheme } from './input-scheme.js';

/** û of a dynamic row: the largest value seen becomes 2^17, 32 times below the clamp. */
const ROW_TARGET = 2 ** 17;

/** Per-row dynamic quantization: each row by its own maximum. Who asks for it asks for accuracy before speed. */
export const dynamicInputs: InputScheme = {
  survivesGather: false,
  aboutZero: true,
  movesZero: false,
  canClip: false,
  // Of rows scaled by their own maximum, steps follow from the channel that reaches it, not from each channel's range:
  // more than this measured worse, by 0.5 dB at 0.75 and 1.2 dB at 1 (DeiT-Tiny).
  mostAlpha: 0.25,
  sensitiveWork: 0.15,
  poorWork: 0.15,
  encode: (half, center) => ({ out: { type: 'rows' }, scale: half.map((h) => h / ROW_TARGET), center }),
};
