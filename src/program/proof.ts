/** Steps of the overflow proof, in integers: of unlimited size where 2^53 does not hold them. */
import { InputError } from '../errors.js';
import type { OpBase } from './value.js';

/** Results and limits as powers of two: |v| < 2^bits. */
export const ACCUMULATOR_BITS = 31;
export const PRODUCT_BITS = 63;

/** 2^bits. */
export const POWERS = Array.from({ length: 64 }, (_, bits) => 1n << BigInt(bits));

/** An op, to name in an error. */
type Named = OpBase & { readonly op: string };

export interface Requantization {
  readonly multiplier: Int32Array;
  readonly offset?: BigInt64Array;
  readonly shift: number;
}

/**
 * @param n which one of `what`, if there are several
 * @returns `value`
 * @throws InputError where it does not fit
 */
export function within<T extends number | bigint>(op: Named, value: T, bits: number, what: string, n?: number): T {
  if (value >= POWERS[bits]) {
    const which = n === undefined ? what : `${what} ${n}`;
    throw new InputError(
      `Op ${JSON.stringify(op.name)} (${op.op}): ${which} can reach ${value}, which overflows ${bits} bits and a sign`,
    );
  }
  return value;
}

/** @param bound most of |v|, for all channels or for each. @returns the most of it */
export function requantized(op: Named & Requantization, bound: bigint | readonly bigint[]): bigint {
  checkProducts(op, op, bound, 'channel');
  return typeof bound === 'bigint' ? bound : greatest(bound);
}

/** Proves that |v·multiplier + 2^(shift−1) + offset| fits 63 bits. */
export function checkProducts(
  op: Named,
  requantization: Requantization,
  bound: bigint | readonly bigint[],
  what: string,
): void {
  if (fitsProduct(requantization, typeof bound === 'bigint' ? bound : greatest(bound))) return;
  const { multiplier, offset, shift } = requantization;
  const half = 1n << BigInt(shift - 1);
  for (let n = 0; n < multiplier.length; n++) {
    const v = typeof bound === 'bigint' ? bound : bound[n];
    const product = v * BigInt(Math.abs(multiplier[n]));
    const added = half + (offset?.[n] ?? 0n);
    const distance = added < 0n ? -added : added;
    // The product and the whole sum fit; engines add modulo 2^64 on the way from one to the other.
    within(op, product, PRODUCT_BITS, `the product of ${what}`, n);
    within(op, distance, PRODUCT_BITS, `the offset of ${what}`, n);
    within(op, product + distance, PRODUCT_BITS, `the requantization of ${what}`, n);
  }
}

/** Whether even the greatest |v|, |multiplier| and |offset| would fit together, which proves it for every channel. */
export function fitsProduct({ multiplier, offset, shift }: Requantization, bound: bigint): boolean {
  const added = (1n << BigInt(shift - 1)) + (offset === undefined ? 0n : greatest(offset));
  return bound * greatest(multiplier) + added < POWERS[PRODUCT_BITS];
}

/** The greatest magnitude; 0 of nothing. */
export function greatest(values: Int32Array | BigInt64Array | readonly bigint[]): bigint {
  let least: number | bigint = 0;
  let most: number | bigint = 0;
  // By index: iterators take several times as long while a program starts.
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value > most) most = value;
    if (value < least) least = value;
  }
  return larger(BigInt(least), BigInt(most));
}

/** The larger magnitude. */
export function larger(a: bigint, b: bigint): bigint {
  const x = a < 0n ? -a : a;
  const y = b < 0n ? -b : b;
  return x > y ? x : y;
}
