import { InputError } from '../errors.js';
import { elements, type OpBase, type ValueInfo, type ValueType } from './value.js';

/** Says which op breaks which rule of docs/format.md. */
export class OpCheck {
  constructor(private readonly op: OpBase & { readonly op: string }) {}

  that(holds: boolean, problem: string): void {
    if (!holds) throw new InputError(`Op ${JSON.stringify(this.op.name)} (${this.op.op}): ${problem}`);
  }

  /** Operand `what` must be of one of `types`. */
  type(what: string, value: ValueInfo, ...types: ValueType[]): void {
    this.that(types.includes(value.out.type), `${what} has type ${value.out.type}, not ${types.join(' or ')}`);
  }

  writes(...types: ValueType[]): void {
    this.that(types.includes(this.op.out.type), `it writes ${this.op.out.type}, not ${types.join(' or ')}`);
  }

  length(what: string, array: { readonly length: number }, length: number): void {
    this.that(array.length === length, `${what} has ${array.length} elements, not ${length}`);
  }

  sameElements(what: string, value: ValueInfo, count: number): void {
    this.that(elements(value) === count, `${what} has ${elements(value)} elements, not ${count}`);
  }

  within(what: string, array: ArrayLike<number>, lo: number, hi: number): void {
    // Of millions of weights only −128 can be wrong, which the engine finds faster than a loop here.
    if (array instanceof Int8Array && lo === -127 && hi === 127 && !array.includes(-128)) return;
    for (let i = 0; i < array.length; i++) {
      if (array[i] < lo || array[i] > hi) this.that(false, `${what}[${i}] is ${array[i]}, not within ${lo} to ${hi}`);
    }
  }

  count(what: string, value: number, lo: number, hi: number): void {
    this.that(isCount(value, lo, hi), `${what} is ${value}, not an integer within ${lo} to ${hi}`);
  }

  /** The multipliers of a requantization: one a channel, one shift for all. */
  multipliers(op: {
    readonly cols: number;
    readonly multiplier: Int32Array;
    readonly offset?: BigInt64Array;
    readonly shift: number;
  }): void {
    this.length('multiplier', op.multiplier, op.cols);
    if (op.offset !== undefined) this.length('offset', op.offset, op.cols);
    this.count('shift', op.shift, 1, 62);
  }
}

export function isCount(value: number, lo: number, hi: number): boolean {
  return Number.isSafeInteger(value) && value >= lo && value <= hi;
}
