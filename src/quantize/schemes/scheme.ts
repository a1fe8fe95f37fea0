import type { QuantizeOptions } from '../options.js';
import type { Techniques } from '../techniques.js';
import type { InputScheme } from './input-scheme.js';
import type { KernelScheme } from './kernel-scheme.js';

/** The user's options, resolved. */
export interface Scheme {
  readonly kernels: KernelScheme;
  readonly inputs: InputScheme;
  readonly techniques: Techniques;
  /** Input bits that the user asks for. */
  readonly layerBits: QuantizeOptions['layerBits'];
  /** Weight bits that the user asks for, of some layers. */
  readonly layerWeightBits: QuantizeOptions['layerWeightBits'];
  /** What the weights of all layers together may take; null: each has the bits that are asked for. */
  readonly target: QuantizeOptions['target'];
}
