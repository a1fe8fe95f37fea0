import type { LayerNormNode } from '../../graph/types.js';
import type { NodeBuilder } from './definition.js';
import { buildNorm, normForm } from './norm.js';

export const layerNorm: NodeBuilder<LayerNormNode> = {
  demand: () => 'wide',
  form: normForm,
  build(node, form, context) {
    const { cols, gamma, beta, center, epsilon } = node;
    // The published norm always takes the mean off.
    const op = center ? context.request.scheme.kernels.normOp : 'layerNorm';
    buildNorm(node, form, { op, center, gamma, beta, epsilon: epsilon * cols, unit: Math.sqrt(cols) }, context);
  },
};
