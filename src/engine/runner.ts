import type { BackendName, OpRunner } from './types.js';
import { createReferenceRunner } from './reference.js';

/**
 * A runner of single ops.
 *
 * @param backend default: the fastest that loads
 */
export async function createOpRunner(_backend?: BackendName): Promise<OpRunner> {
  return createReferenceRunner();
}
