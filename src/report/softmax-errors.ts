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

/** Softmax as the integer model computes it, beside the exact softmax of the same integer scores. */
export class SoftmaxErrors {
  readonly #found = new Map<string, Found>();
  /** How many scores lie so many eighths of an octave below their row's largest. */
  readonly #distances = new Float64Array(OCTAVES * STEPS + 1);
  #curveKind: SoftmaxKind | null = null;

  add(op: AttentionOp, sources: { readonly q: Int8Array; readonly k: Int8Array }): void {
    const { softmax, keys, heads, rows, fractionBits } = op;
    if (typeof softmax === 'string') this.#curveKind = softmax;
    const kind = typeof softmax === 'string' ? softmax : softmax.kind;
    const found = this.#found.get(op.name) ?? { kind, meter: new ErrorMeter() };
    this.#found.set(op.name, found);
    // Octaves for one step of a score: S·log2 e with the published Shiftmax, whose S is about −1/x0.
    const isPaper = typeof softmax !== 'string' && softmax.kind === 'paper';
    const octave = isPaper ? Math.LOG2E / -softmax.x0 : 2 ** -fractionBits;
    const scores = new Int32Array(keys);
    const weights = new Int32Array(keys);
    for (let row = 0; row < rows; row += Math.max(1, Math.floor(rows / ROWS)))
      for (let head = 0; head < heads; head++) {
        const max = scoreRow(op, sources, row, head, scores);
        const sum = weighRow(op, scores, max, row % op.queries, weights);
        const exact = Float64Array.from(scores, (s) => 2 ** ((s - max) * octave));
        const exactSum = exact.reduce((a, b) => a + b, 0);
        for (let j = 0; j < keys; j++) {
          found.meter.add(exact[j] / exactSum, weights[j] / sum);
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
