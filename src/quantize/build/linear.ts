import type { LinearNode } from '../../graph/types.js';
import type { LinearOp } from '../../program/types.js';
import type { ValueId } from '../../program/value.js';
import type { Encoding } from '../decide/encoding.js';
import type { BuildContext, NodeBuilder } from './definition.js';
import { sampleInputs, type Layer } from './layer-samples.js';
import { linearOp } from './linear-op.js';
import { reportLinear } from './linear-report.js';

export const linear: NodeBuilder<LinearNode> = {
  // A layer that re-reads the value in longer rows has no use for its per-channel scales.
  demand: (node, operand) => (node.inFeatures === operand.cols ? 'codes' : 'wide'),
  // A linear layer straight after another: its input is made from the wide value.
  form: (_node, wanted) => (wanted === 'codes' ? 'wide' : wanted),
  async build(node, form, context) {
    const { builder, request } = context;
    const { calibration, encodings } = request;
    const source = calibration.plan.nodes.get(node.x)!;
    const input = builder.inForm(node.x, 'codes', node.inFeatures, source.name);
    const fused = calibration.plan.residual.get(node.id);
    // What is added to another value, or two planes' products to each other, is wide.
    const written = fused !== undefined || encodings.bits.weightPlanes(node) > 1 ? 'wide' : form;
    const target = encodings.target(node.id, written, node.cols);
    const other = fused === undefined ? null : builder.wide(fused.other);
    const residual = other === null ? null : { value: other.value, scale: other.scale[0] };
    const made = await buildLayer({ node, input, residual, border: null }, target, context);
    builder.remember(fused?.add ?? node.id, written, made, target);
  },
};

/**
 * Fits and emits one linear layer: an op for each plane of its weights, the second adding to the first one's result.
 */
export async function buildLayer(
  layer: Layer,
  target: Encoding,
  context: BuildContext,
): Promise<{ readonly value: ValueId; readonly op: LinearOp }> {
  const { builder, request, fits } = context;
  const { node } = layer;
  const sampled = sampleInputs(layer, context);
  const fit = await fits.fit(layer, sampled, context);
  const { value: first, op } = builder.emit(linearOp(layer, fit, target, sampled.unit));
  let value = first;
  if (request.encodings.bits.weightPlanes(node) > 1) {
    const bias = new Float64Array(node.cols);
    const residual = { value: first, scale: target.scale[0] };
    const second = { ...layer, node: { ...node, name: `${node.name}.second` }, residual };
    const uncentred = { ...target, center: new Float64Array(node.cols) };
    ({ value } = builder.emit(linearOp(second, { ...fit.residualPlane!, bias }, uncentred, sampled.unit)));
  }
  await reportLinear(layer, { op: op as LinearOp, value, fit, target }, context);
  return { value, op: op as LinearOp };
}
