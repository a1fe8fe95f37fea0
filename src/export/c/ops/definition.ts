/** How an op is written as C. */
import type { ValueSpec } from '../../../engine/values.js';
import { outputRange } from '../../../program/limits.js';
import type { Geometry, OperandView, Op, Output, Program } from '../../../program/types.js';

export type ArrayData = Int8Array | Uint8Array | Int16Array | Int32Array | BigInt64Array;

/** What the constants of an op are made with. */
export interface StructContext {
  /** The values that the op reads. */
  readonly operands: readonly ValueSpec[];
  readonly input: Program['input'];
  /** Keeps an array with the weights; an array that is there already, once. @returns its name in C */
  array(field: string, data: ArrayData): string;
}

/** C expressions of pointers, for the rows of a block: `r` is its first row, `n` their number. */
export interface CallContext {
  readonly operands: readonly ValueSpec[];
  /** The op's constants. */
  readonly self: string;
  /** Operand i from row r on, read in rows of `length` elements. */
  x(i: number, length: number): string;
  /** Operand i from its beginning. */
  whole(i: number): string;
  /** Whether only the rows of the block are there of operand i. */
  isBlock(i: number): boolean;
  /** The scales of operand i's rows, from row r on; from the first row on. */
  xScale(i: number): string;
  wholeScale(i: number): string;
  readonly out: string;
  readonly scale: string;
  readonly scratch: string;
  readonly kept: string;
}

/** A structure of native/ivit.h or native/export/export.h, and its fields. */
export interface CStruct {
  readonly type: string;
  readonly fields: Readonly<Record<string, string | number>>;
}

export interface COp<T extends Op> {
  /** Functions of the kernels that its call names. */
  kernels(op: T, operands: readonly ValueSpec[]): readonly string[];
  /** Left out: it has no constants. */
  struct?(op: T, context: StructContext): CStruct;
  /** Bytes that it works in. Left out: none. */
  scratch?(op: T): number;
  /** Bytes that it keeps from `prepare` on, from block to block. */
  kept?(op: T): number;
  /** Operands whose rows the result may replace while they are read. */
  readonly aliases?: readonly number[];
  /** What is done before the first block. */
  prepare?(op: T, context: CallContext): string;
  call(op: T, context: CallContext): string;
}

export const CTYPES = { u8: 'IVIT_U8', i8: 'IVIT_I8', i16: 'IVIT_I16', i32: 'IVIT_I32', rows: 'IVIT_ROWS' } as const;

type Requantized = Op & { readonly multiplier: Int32Array; readonly shift: number };

/** `ivit_output`. */
export function outputOf(op: Requantized, context: StructContext, offset: BigInt64Array | null = null): string {
  const multiplier = context.array('multiplier', op.multiplier);
  const fields = outputFields(op.out, { ...outputRange(op.out), shift: op.shift, multiplier });
  if (offset?.some((one) => one !== 0n)) fields.offset = context.array('offset', offset);
  return initializer(fields);
}

export function outputFields(
  out: Output,
  { lo, hi, shift, multiplier }: { lo: number; hi: number; shift: number; multiplier: string },
): Record<string, string | number> {
  return { type: CTYPES[out.type], lo, hi, zero: out.type === 'u8' ? out.zero : 0, shift, multiplier };
}

/** `ivit_view`. */
export function viewOf(view: OperandView, field: string, context: StructContext): string {
  const { stride, offset, headStride: head_stride, rows } = view;
  return initializer({ stride, offset, head_stride, ...(rows !== null && { rows: context.array(field, rows) }) });
}

/** `ivit_geometry`. */
export function geometryFields(
  { size, kernel, stride, pad, dilation, outSize }: Geometry,
  channels: number,
): Record<string, number> {
  return {
    ...{ height: size[0], width: size[1], kernel_h: kernel[0], kernel_w: kernel[1] },
    ...{ stride_h: stride[0], stride_w: stride[1], pad_top: pad[0], pad_left: pad[1] },
    ...{ dilation_h: dilation[0], dilation_w: dilation[1], out_w: outSize[1], channels },
  };
}

export function initializer(fields: Readonly<Record<string, string | number>>): string {
  return `{${Object.entries(fields)
    .map(([name, value]) => `.${name} = ${value}`)
    .join(', ')}}`;
}
