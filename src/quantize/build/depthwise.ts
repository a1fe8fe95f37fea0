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
    const { weight, steps } = roundedTaps(node);
    const target = request.encodings.target(id, form, cols);
    // The bias is part of what the offset takes off.
    const center = target.center.map((t, c) => t - bias[c]);
    const requantized = requantizeTo({ ...target, center }, (c) => steps[c] * x.scale[c % x.scale.length], name);
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

/** Weights [taps, C] in 16 bits, in steps of each channel, as fine as their sum allows. */
function roundedTaps({ cols, geometry, weight }: DepthwiseNode): { weight: Int16Array; steps: Float64Array } {
  const taps = tapCount(geometry);
  const sums = new Float64Array(cols);
  const most = new Float64Array(cols);
  weight.forEach((w, i) => {
    sums[i % cols] += Math.abs(w);
    most[i % cols] = Math.max(most[i % cols], Math.abs(w));
  });
  // Rounding adds at most half a step for each tap.
  const steps = sums.map((sum, c) => Math.max(sum / (SUM_LIMIT - taps), most[c] / QUANTIZED_LIMIT_16));
  const quantized = Int16Array.from(weight, (w, i) => (steps[i % cols] > 0 ? Math.round(w / steps[i % cols]) : 0));
  return { weight: quantized, steps };
}
