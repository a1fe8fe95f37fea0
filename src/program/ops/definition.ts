import * as v from 'valibot';
import type { Dtype } from '../container.js';
import type { OpCheck } from '../check.js';
import type { OpBase, ValueId, ValueInfo } from '../value.js';

type TypedArray = Int8Array | Int16Array | Int32Array | BigInt64Array;

/** An op as the program's JSON holds it: without the fields that are tensors. */
export type Outline<T> = { readonly [K in keyof T as NonNullable<T[K]> extends TypedArray ? never : K]: T[K] };

/** A tensor that belongs to an op: it is named `<op name>.<field>`; a field `q.rows` is the `rows` of the op's `q`. */
export interface TensorField {
  readonly field: string;
  readonly dtype: Dtype;
  /** null: a list of any length. */
  readonly shape: readonly number[] | null;
  /** An absent tensor means null. */
  readonly optional?: true;
}

/** What an op may see of the program that it is part of. */
export interface Surroundings {
  readonly input: { readonly height: number; readonly width: number; readonly channels: number };
  /** Type and shape of every value, by id. */
  readonly values: readonly ValueInfo[];
  readonly ops: readonly (OpBase & { readonly op: string })[];
  /** The op's own place among them. */
  readonly index: number;
}

/** Bytes that an engine takes at most for an op, beyond its values and its tensors as they are. */
export interface OpMemory {
  /** Tensors as they are packed for products. */
  readonly constants: number;
  /** What all threads use together while it is computed. */
  readonly shared: number;
  /** What each thread uses. */
  readonly thread: number;
}

/** Counts as engines pad them. */
export function padded(count: number): number {
  return count + ((64 - (count % 64)) % 64);
}

/** All that the program's stages need to know of one kind of op. */
export interface OpDefinition<T extends OpBase> {
  /** The JSON fields beside op, name, rows, cols and out, in the order that files have them. */
  readonly fields: v.ObjectEntries;
  /** The tensors that complete the JSON. */
  tensors(op: Outline<T>): readonly TensorField[];
  /** The values it reads, in the order that engines take them. One may occur more than once. */
  operands(op: T): readonly ValueId[];
  /** Refuses what breaks a rule of docs/format.md. What passes can be run without leaving a value's memory. */
  validate(op: T, check: OpCheck, surroundings: Surroundings): void;
  /**
   * Proves that no intermediate result can overflow, whatever the operands hold.
   *
   * @returns most of |v|, the integer that is requantized; 0 where nothing is
   * @throws InputError for the first result that can
   */
  bound(op: T, values: readonly ValueInfo[]): bigint;
  /** Whether sizes alone prove it, without a look at the weights. */
  isProvenBySize?(op: T, values: readonly ValueInfo[]): boolean;
  /** Whether it computes in floating point; left out: it does not. */
  isFloat?(op: T): boolean;
  /** What it takes beyond rows of its columns, which are counted for every op. Left out: nothing. */
  memory?(op: T): OpMemory;
  /** Multiply-accumulates for one image; 0 where left out. */
  macs?(op: T): number;
  /** Elements that it looks at for one image beside those and the ones that it writes; 0 where left out. */
  visits?(op: T): number;
  /** Weights and biases of the model that it holds; 0 where left out. */
  parameters?(op: T): number;
}

export const integer = v.pipe(v.number(), v.safeInteger());

/** A real number, for display alone. */
export const decimal = v.pipe(
  v.string(),
  v.regex(/^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$/),
  v.check((digits) => Number.isFinite(Number(digits)), 'it is beyond all numbers of 64 bits'),
);
export const pair = v.tuple([integer, integer]);
/** A 64-bit integer, as a string of digits: JSON numbers end at 2^53. */
export const decimalInteger = v.pipe(
  v.string(),
  v.regex(/^(0|-?[1-9][0-9]{0,18})$/),
  v.transform((digits) => BigInt(digits)),
);

/** A tensor of one number a channel. */
export const perChannel = (op: { readonly cols: number }, field: string, dtype: Dtype): TensorField => ({
  field,
  dtype,
  shape: [op.cols],
});

/** The tensors of a requantization without, and with, an offset. */
export const multiplierOf = (op: { readonly cols: number }): TensorField => perChannel(op, 'multiplier', 'I32');
export const offsetOf = (op: { readonly cols: number }): TensorField => perChannel(op, 'offset', 'I64');
