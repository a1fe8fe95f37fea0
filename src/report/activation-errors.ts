import type { Value } from '../engine/types.js';
import { activations } from '../graph/activations.js';
import type { ActivationKind } from '../graph/types.js';
import { activate } from '../kernels/activation.js';
import type { ActivationOp } from '../program/types.js';
import { ErrorMeter } from './errors.js';
import type { Curve, FunctionError } from './types.js';

/** The 16-bit inputs are counted one by one: −32768 is 0. */
const HALF = 32768;
/** The curve reaches to either side, in steps of 1/8. */
const REACH = 6;
const STEPS = 8;

interface Found {
  readonly kind: ActivationKind;
  readonly op: ActivationOp;
  readonly counts: Float64Array;
}

/** Activations as the integer model computes them, beside the exact functions, on the inputs that they get. */
export class ActivationErrors {
  readonly #found = new Map<string, Found>();

  /** @param kindOf the activation that an op of a name stands for, null where it is not known */
  constructor(private readonly kindOf: (name: string) => ActivationKind | null) {}

  add(op: ActivationOp, x: Value): void {
    const kind = this.kindOf(op.name);
    if (kind === null) return;
    const found = this.#found.get(op.name) ?? { kind, op, counts: new Float64Array(2 * HALF) };
    this.#found.set(op.name, found);
    for (const value of x.data) found.counts[value + HALF]++;
  }

  errors(): FunctionError[] {
    return [...this.#found].map(([name, { kind, op, counts }]) => {
      const meter = new ErrorMeter();
      const unit = unitOf(kind, op);
      counts.forEach((times, i) => {
        if (times === 0) return;
        const x = i - HALF;
        meter.add(activations[kind].apply(x * unit), activate(x, op.knots, op.spacing) * unit, times);
      });
      return { name, kind, ...meter.result() };
    });
  }

  /** Of the first activation; the share is that of all of its kind. */
  curve(): Curve | null {
    const first = [...this.#found.values()].at(0);
    if (first === undefined) return null;
    const { kind, op } = first;
    const unit = unitOf(kind, op);
    const x = Array.from({ length: 2 * REACH * STEPS + 1 }, (_, i) => i / STEPS - REACH);
    const share = new Float64Array(x.length);
    let total = 0;
    for (const other of this.#found.values()) {
      if (other.kind !== kind) continue;
      const step = unitOf(kind, other.op);
      other.counts.forEach((times, i) => {
        const at = Math.round(((i - HALF) * step + REACH) * STEPS);
        total += times;
        if (at >= 0 && at < share.length) share[at] += times;
      });
    }
    return {
      x,
      integer: x.map((value) => activate(clamped(value / unit), op.knots, op.spacing) * unit),
      exact: x.map(activations[kind].apply),
      share: Array.from(share, (count) => count / total),
    };
  }
}

/** Real value of one step of the input: the 64 knots of the table cover 2^reachBits. */
const unitOf = (kind: ActivationKind, { spacing }: ActivationOp): number =>
  2 ** -(spacing + 6 - activations[kind].reachBits);

const clamped = (value: number): number => Math.max(1 - HALF, Math.min(HALF - 1, Math.round(value)));
