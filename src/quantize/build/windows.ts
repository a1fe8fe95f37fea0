import { reachesOutside, tapCount } from '../../graph/geometry.js';
import type { WindowsNode } from '../../graph/types.js';
import type { NodeBuilder } from './definition.js';

/** Quantized values are laid out as they are, with the scales of the map for every tap: none is rounded twice. */
export const windows: NodeBuilder<WindowsNode> = {
  demand(node, operand, forms) {
    const isMap = operand.cols * tapCount(node.geometry) === node.cols;
    // Attention's result is centred where its values are, and the zeros outside are real ones.
    return isMap && !(operand.op === 'attention' && reachesOutside(node.geometry)) ? forms.get(node.id)! : 'wide';
  },
  form: (_node, wanted, { inputs }) => (wanted === 'codes' && inputs.survivesGather ? wanted : 'wide'),
  build({ id, name, rows, cols, x, geometry }, form, { builder, request }) {
    const channels = cols / tapCount(geometry);
    const source = request.calibration.plan.nodes.get(x)!;
    const input = form === 'wide' ? builder.wide(x) : builder.inForm(x, 'codes', channels, source.name);
    const perTap = (values: Float64Array): Float64Array =>
      Float64Array.from({ length: cols }, (_, k) => values[k % values.length]);
    builder.define(
      id,
      form,
      { op: 'windows', name, rows, cols, out: input.out, x: input.value, ...geometry },
      { scale: perTap(input.scale), center: perTap(input.center) },
    );
  },
};
