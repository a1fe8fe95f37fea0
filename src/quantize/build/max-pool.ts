import type { MaxPoolNode } from '../../graph/types.js';
import type { NodeBuilder } from './definition.js';

/** The largest quantized value is that of the largest value, as scales are positive. */
export const maxPool: NodeBuilder<MaxPoolNode> = {
  demand: (node, operand, forms) => (operand.cols === node.cols ? forms.get(node.id)! : 'wide'),
  form: (_node, wanted, { inputs }) =>
    wanted === 'operand' || (wanted === 'codes' && inputs.survivesGather) ? wanted : 'wide',
  build({ id, name, rows, cols, x, geometry }, form, { builder, request }) {
    const source = request.calibration.plan.nodes.get(x)!;
    const input = form === 'wide' ? builder.wide(x) : builder.inForm(x, form, cols, source.name);
    const scales = form === 'wide' ? { ...input, scale: input.scale.slice(0, cols) } : input;
    builder.define(id, form, { op: 'maxPool', name, rows, cols, out: input.out, x: input.value, ...geometry }, scales);
  },
};
