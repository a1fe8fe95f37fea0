import type { ActivationNode } from '../../graph/types.js';
import { writtenScales } from '../decide/encoding.js';
import type { NodeBuilder } from './definition.js';
import { requantizeTo } from './requantization.js';

/** Bits of the multipliers of 8-bit results: the products then stay within 32. */
const NARROW_BITS = 15;

export const activation: NodeBuilder<ActivationNode> = {
  demand: () => 'activation',
  form: (_node, wanted) => (wanted === 'codes' || wanted === 'factor' ? wanted : 'wide'),
  build(node, form, { builder, request }) {
    const { id, name, rows, cols } = node;
    const source = request.calibration.plan.nodes.get(node.x)!;
    const x = builder.inForm(node.x, 'activation', cols, source.name);
    const { kernel, unit } = request.scheme.kernels.activation(node, x);
    const target = request.encodings.target(id, form, cols);
    const bits = form === 'codes' && kernel.op === 'activation' ? NARROW_BITS : 31;
    const common = { name, rows, cols, out: target.out, x: x.value };
    const op = { ...kernel, ...common, ...requantizeTo(target, () => unit, name, bits) };
    builder.define(id, form, op, writtenScales(target));
  },
};
