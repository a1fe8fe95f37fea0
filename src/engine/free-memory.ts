import { loadNativeKernels } from './load.js';

/**
 * Gives memory that is free back to the system. The C library of Linux keeps what many threads have freed, and sessions
 * of ONNX Runtime free as much as the weights of a model. Without the add-on it stays as it is.
 */
export function returnFreeMemory(): void {
  try {
    loadNativeKernels().trim();
  } catch {
    // Nothing depends on it.
  }
}
