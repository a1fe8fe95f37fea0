import { scalarFunctions } from './scalar.js';
import type { ActivationKind } from './types.js';

/** What each kind computes. */
export const activationFunctions: Readonly<Record<ActivationKind, (x: number) => number>> = {
  gelu: scalarFunctions.gelu,
  geluTanh: scalarFunctions.geluTanh,
  quickGelu: (x) => x * scalarFunctions.sigmoid(1.702 * x),
  silu: (x) => x * scalarFunctions.sigmoid(x),
  relu: scalarFunctions.relu,
};
