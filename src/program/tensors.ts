import type { TensorData } from './container.js';
import { definitionOf, type Op } from './ops/index.js';

/** The tensors of an op that are there, by field; a field `q.rows` is `rows` of the op's `q`. */
export function tensorsOf(op: Op): [field: string, data: TensorData][] {
  const found: [string, TensorData][] = [];
  for (const { field } of definitionOf(op).tensors(op)) {
    const data = field.split('.').reduce((value: unknown, key) => (value as Record<string, unknown>)[key], op);
    if (ArrayBuffer.isView(data)) found.push([field, data as TensorData]);
  }
  return found;
}
