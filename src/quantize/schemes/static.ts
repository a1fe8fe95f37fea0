import { QUANTIZED_LIMIT } from '../decide/encoding.js';
import type { InputScheme } from './input-scheme.js';

/** Calibrated scales. */
export const staticInputs: InputScheme = {
  survivesGather: true,
  aboutZero: false,
  movesZero: true,
  canClip: true,
  mostAlpha: 1,
  sensitiveWork: 0.11,
  poorWork: 1,
  encode: (half, center) => ({ out: { type: 'u8', zero: 128 }, scale: half.map((h) => h / QUANTIZED_LIMIT), center }),
};
