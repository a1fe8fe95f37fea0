import { tapCount } from '../../graph/geometry.js';
import type { DepthwiseNode, GraphNode } from '../../graph/types.js';
import { QUANTIZED_LIMIT_16, writtenScales } from '../decide/encoding.js';
import type { NodeBuilder } from './definition.js';
import { requantizeTo } from './requantization.js';

/** Σ|w| of a channel: times the largest of 16 bits it stays below 2^31. */
const SUM_LIMIT = 65535;

export const depthwise: NodeBuilder<DepthwiseNode> = {
  demand: mapForm,
  form: (_node, wanted) => wanted,
  build(node, form, { builder, request }) {
    const { id, name, rows, cols, geometry, bias } = node;
    const source = request.calibration.plan.nodes.get(node.x)!;
    const x = builder.inForm(node.x, mapForm(node, source), cols, source.name);
    const target = request.encodings.target(id, form, cols);
    // The bias is part of what the offset takes off.
    const center = target.center.map((t, c) => t - bias[c]);
    const inputScale = (c: number): number => x.scale[c % x.scale.length];
    const { weight, steps } = roundedTaps(node, (c) => ({
      unit: target.scale[c] / inputScale(c),
      offset: Math.abs(center[c] / target.scale[c]),
    }));
    const requantized = requantizeTo({ ...target, center }, (c) => steps[c] * inputScale(c), name);
    builder.define(
      id,
      form,
      { op: 'depthwise', name, rows, cols, out: target.out, x: x.value, ...geometry, weight, ...requantized },
      writtenScales(target),
    );
  },
};

/** Per-channel scales have no meaning in rows of another length. */
function mapForm({ cols }: DepthwiseNode, operand: GraphNode): 'factor' | 'fixed' {
  return operand.cols === cols ? 'factor' : 'fixed';
}

/** The result of one channel, as its weights see it. */
interface Result {
  /** What a weight is worth whose product with one step of the input is one step of the result. */
  readonly unit: number;
  /** What is taken off or added, in steps of the result. */
  readonly offset: number;
}

/**
 * Weights [taps, C] in 16 bits, in steps of each channel, as fine as their sum allows. A step is a power of 2 of the
 * result's `unit` where it can be: then sums are shifted, not multiplied, to become results. That takes at most a bit
 * of weights that have thirteen to spare.
 */
function roundedTaps(
  { cols, geometry, weight }: DepthwiseNode,
  resultOf: (c: number) => Result,
): { weight: Int16Array; steps: Float64Array } {
  const taps = tapCount(geometry);
  const sums = new Float64Array(cols);
  const most = new Float64Array(cols);
  weight.forEach((w, i) => {
    sums[i % cols] += Math.abs(w);
    most[i % cols] = Math.max(most[i % cols], Math.abs(w));
  });
  // Rounding adds at most half a step for each tap.
  const steps = sums.map((sum, c) => {
    const finest = Math.max(sum / (SUM_LIMIT - taps), most[c] / QUANTIZED_LIMIT_16);
    return shiftedStep(finest, sum, taps, resultOf(c)) ?? finest;
  });
  const quantized = Int16Array.from(weight, (w, i) => (steps[i % cols] > 0 ? Math.round(w / steps[i % cols]) : 0));
  return { weight: quantized, steps };
}

/** The most that the shift of a sum of 32 bits can be. */
const MOST_SHIFT = 30;

/**
 * The least step, a power of 2 of the unit, of `finest` or more, with which the largest sum and what is added to it fit
 * 32 bits; null where that takes more than two bits, or there is none.
 */
function shiftedStep(finest: number, sum: number, taps: number, { unit, offset }: Result): number | null {
  if (!(finest > 0) || !(unit > 0)) return null;
  const highest = Math.floor(Math.log2(unit / finest));
  for (let shift = highest; shift >= highest - 2; shift--) {
    const step = unit * 2 ** -shift;
    if (shift < 1 || shift > MOST_SHIFT || step < finest) continue;
    const largest = (sum / step + taps) * QUANTIZED_LIMIT_16;
    // The zero point of 8 bits, and half a step.
    if (largest + (offset + 256) * 2 ** shift < 2 ** 31) return step;
  }
  return null;
}
