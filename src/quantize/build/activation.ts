import type { ActivationNode } from '../../graph/types.js';
import { uniformScales, writtenScales } from '../decide/encoding.js';
import { fineActivationUnit } from '../functions.js';
import type { NodeBuilder } from './definition.js';
import { WIDE } from './program-builder.js';
import { requantizeTo } from './requantization.js';

/** Bits of the multipliers of 8-bit results: the products then stay within 32. Results that hardly vary need more. */
const NARROW_BITS = 15;

export const activation: NodeBuilder<ActivationNode> = {
  demand: () => 'activation',
  form: (_node, wanted) => (wanted === 'codes' || wanted === 'factor' ? wanted : 'wide'),
  build(node, form, { builder, request, functions }) {
    const { id, name, rows, cols } = node;
    const source = request.calibration.plan.nodes.get(node.x)!;
    const x = builder.inForm(node.x, 'activation', cols, source.name);
    const { kernel, unit } = request.scheme.kernels.activation(node, x);
    const target = request.encodings.target(id, form, cols);
    const isNarrow = target.scale.every((step) => unit / step < 2 ** (NARROW_BITS - 1));
    const bits = form === 'codes' && kernel.op === 'activation' && isNarrow ? NARROW_BITS : 31;
    const common = { name, rows, cols, out: target.out, x: x.value };
    const op = { ...kernel, ...common, ...requantizeTo(target, () => unit, name, bits) };
    const { name: opName } = builder.define(id, form, op, writtenScales(target));
    const fineUnit = fineActivationUnit(x);
    const finely = { out: WIDE, ...uniformScales(cols, fineUnit) };
    functions.push({
      ...{ function: 'activation', name: opName, kind: node.kind, input: { scale: x.scale, center: x.center } },
      fine: { ...kernel, ...common, out: WIDE, ...requantizeTo(finely, () => unit, name) },
      fineUnit,
    });
  },
};
