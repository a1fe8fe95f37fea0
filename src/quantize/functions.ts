/** The nonlinear functions of a program, and what their integers mean: for comparing them with the exact ones. */
import type { ActivationKind } from '../graph/types.js';
import type { Op } from '../program/types.js';
import { WIDE_LIMIT } from '../program/limits.js';
import type { ChannelScales, Encoding } from './decide/encoding.js';

/** An op that stands for softmax, an activation or a norm, whatever the kernel set. */
export type FunctionOp = SoftmaxFunction | ActivationFunction | NormFunction;

interface Named {
  /** Of the op in the program. */
  readonly name: string;
}

export interface SoftmaxFunction extends Named {
  readonly function: 'softmax';
  /** Real value of one step of a score. */
  readonly scoreUnit: number;
  /** Real value of one step of a weight; null: weights are divided by their sum. */
  readonly weightUnit: number | null;
}

export interface ActivationFunction extends Named {
  readonly function: 'activation';
  readonly kind: ActivationKind;
  /** Of its operand. */
  readonly input: ChannelScales;
  /** The op with its result in fine steps, before it is rounded for who reads it. */
  readonly fine: Op;
  /** Real value of one of these. */
  readonly fineUnit: number;
}

/** y·unit / √(Σ y² + ε): y is the row x, less its mean where `center` says so. */
export interface NormFunction extends Named {
  readonly function: 'norm';
  readonly center: boolean;
  /** ε above, in real units. */
  readonly epsilon: number;
  readonly unit: number;
  /** Real value of one step of its operand. */
  readonly inputUnit: number;
  /** The op without weight and bias, its result in fine steps. */
  readonly fine: Op;
}

/** Real value of one fine step of an activation, where values are neither near to zero nor above 256. */
const FINE_ACTIVATION = 2 ** -16;
/** Integers that an input may have, at most. */
const MOST_INTEGER = { i16: 1 << 15, other: 1 << 8 };

/** The fine step of an activation by its input: a part of its step, and the largest result fits 24 bits. */
export function fineActivationUnit({ out, scale }: Encoding): number {
  const most = scale[0] * (out.type === 'i16' ? MOST_INTEGER.i16 : MOST_INTEGER.other);
  return Math.min(scale[0] / 16, Math.max(FINE_ACTIVATION, most / WIDE_LIMIT));
}

/** Real value of one fine step of a norm (up to 64 standard deviations). */
export const FINE_NORM = 2 ** -18;
