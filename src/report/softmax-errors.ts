import { scoreRow, softmaxMantissa, weighRow } from '../kernels/attention.js';
import type { AttentionOp, SoftmaxKind } from '../program/types.js';
import { ErrorMeter } from './errors.js';
import type { Curve, FunctionError } from './types.js';

/** Rows of each attention and image that are looked at: evenly spread. */
const ROWS = 16;
/** The curve reaches this many octaves below the largest score, in steps of 1/8. */
const OCTAVES = 8;
const STEPS = 8;

interface Found {
  readonly kind: string;
  readonly meter: ErrorMeter;
}

/** Real values of one step of a score, and of a weight; null: weights are divided by their sum. */
interface SoftmaxUnits {
  readonly scoreUnit: number;
  readonly weightUnit: number | null;
}

/** Of the published Shiftmax S is about −1/x0. */
function unitsOf({ softmax, fractionBits }: AttentionOp): SoftmaxUnits {
  const scoreUnit = Math.LN2 * 2 ** -fractionBits;
  if (typeof softmax === 'string') return { scoreUnit, weightUnit: null };
  if (softmax.kind !== 'paper') return { scoreUnit, weightUnit: 2 ** -softmax.bits };
  return { scoreUnit: -1 / softmax.x0, weightUnit: 2 ** (1 - softmax.bits) };
}

/** Softmax as the integer model computes it, beside the exact softmax of the same integer scores. */
export class SoftmaxErrors {
  readonly #found = new Map<string, Found>();
  /** How many scores lie so many eighths of an octave below their row's largest. */
  readonly #distances = new Float64Array(OCTAVES * STEPS + 1);
  #curveKind: SoftmaxKind | null = null;

  /** @param units of the scores and weights; default: what the op alone tells of them */
  add(op: AttentionOp, sources: { readonly q: Int8Array; readonly k: Int8Array }, units = unitsOf(op)): void {
    const { softmax, keys, heads, rows } = op;
    const isOwn = typeof softmax === 'string';
    if (isOwn) this.#curveKind = softmax;
    const found = this.#found.get(op.name) ?? { kind: isOwn ? softmax : softmax.kind, meter: new ErrorMeter() };
    this.#found.set(op.name, found);
    const octave = Math.LOG2E * units.scoreUnit;
    const scores = new Int32Array(keys);
    const weights = new Int32Array(keys);
    for (let row = 0; row < rows; row += Math.max(1, Math.floor(rows / ROWS)))
      for (let head = 0; head < heads; head++) {
        const max = scoreRow(op, sources, row, head, scores);
        const sum = weighRow(op, scores, max, row % op.queries, weights);
        const exact = Float64Array.from(scores, (s) => 2 ** ((s - max) * octave));
        const exactSum = exact.reduce((a, b) => a + b, 0);
        for (let j = 0; j < keys; j++) {
          const weight = units.weightUnit === null ? weights[j] / sum : weights[j] * units.weightUnit;
          found.meter.add(exact[j] / exactSum, weight);
          const at = Math.round((max - scores[j]) * octave * STEPS);
          if (at < this.#distances.length) this.#distances[at]++;
        }
      }
  }

  errors(): FunctionError[] {
    return [...this.#found].map(([name, { kind, meter }]) => ({ name, kind, ...meter.result() }));
  }

  curve(): Curve | null {
    const kind = this.#curveKind;
    if (kind === null) return null;
    const total = this.#distances.reduce((a, b) => a + b, 0);
    const x = Array.from(this.#distances, (_, i) => i / STEPS);
    const bits = 11;
    return {
      x,
      integer: x.map((d) => (softmaxMantissa(Math.round(d * 2 ** bits), bits, kind) * 2 ** -Math.floor(d)) / 2 ** 14),
      exact: x.map((d) => 2 ** -d),
      share: Array.from(this.#distances, (count) => count / total),
    };
  }
}
