import type { LayerNormNode } from '../../graph/types.js';
import type { NodeBuilder } from './definition.js';
import { buildNorm, normForm } from './norm.js';

export const layerNorm: NodeBuilder<LayerNormNode> = {
  demand: () => 'wide',
  form: normForm,
  build(node, form, context) {
    const { cols, gamma, beta, epsilon } = node;
    const op = context.request.scheme.kernels.normOp;
    buildNorm(node, form, { op, center: true, gamma, beta, epsilon: epsilon * cols, unit: Math.sqrt(cols) }, context);
  },
};
