import { proveBounds } from './bounds.js';
import type { Dtype, TensorData } from './container.js';
import { narrowed } from './narrow.js';
import { definitionOf } from './ops/index.js';
import { packedBits, packedLength } from './pack.js';
import { splitProgram, tensorFields } from './schema.js';
import type { Op, Program, ValueType } from './types.js';

/** What `ivit inspect` shows of one op of an integer program. */
export interface OpDescription {
  readonly name: string;
  readonly op: Op['op'];
  /** [rows, cols] of the value it writes. */
  readonly shape: readonly [number, number];
  readonly type: ValueType;
  readonly weightBits: number | null;
  /** The requantization's dyadic numbers b/2^c: least and greatest b of all channels, and their common c. */
  readonly scale: { readonly least: number; readonly greatest: number; readonly c: number } | null;
  /** Bits and sign that the integer before requantization can need, for any image. */
  readonly accumulatorBits: number | null;
  readonly parameters: number;
  /** Multiply-accumulates for one image. */
  readonly macs: number;
  /** Of its tensors in a file of the present version. */
  readonly bytes: number;
}

/** @param program one that `validateProgram` has passed */
export function describeProgram(program: Program): OpDescription[] {
  const bounds = proveBounds(program);
  const { tensors } = splitProgram(program);
  return program.ops.map((op, i) => ({
    name: op.name,
    op: op.op,
    shape: [op.rows, op.cols],
    type: op.out.type,
    weightBits: op.op === 'linear' ? op.weightBits : null,
    scale: scaleOf(op),
    accumulatorBits: 'multiplier' in op ? bounds[i].toString(2).length + 1 : null,
    parameters: definitionOf(op).parameters?.(op) ?? 0,
    macs: definitionOf(op).macs?.(op) ?? 0,
    bytes: tensorFields(op).reduce(
      (sum, { field, dtype }) => sum + bytesOf(op, field, storedBytes(dtype, tensors[i].get(field))),
      0,
    ),
  }));
}

function scaleOf(op: Op): OpDescription['scale'] {
  if (!('multiplier' in op)) return null;
  let least = op.multiplier[0];
  let greatest = least;
  for (const b of op.multiplier) {
    least = Math.min(least, b);
    greatest = Math.max(greatest, b);
  }
  return { least, greatest, c: op.shift };
}

const storedBytes = (dtype: Dtype, data: TensorData | undefined): number =>
  data === undefined ? 0 : narrowed(dtype, data).data.byteLength;

function bytesOf(op: Op, field: string, inMemory: number): number {
  const bits = packedBits(op, field);
  return bits === null || inMemory === 0 ? inMemory : packedLength(inMemory, bits);
}
