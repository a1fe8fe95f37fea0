import type { L2NormNode } from '../../graph/types.js';
import type { NodeBuilder } from './definition.js';
import { buildNorm, normForm } from './norm.js';

export const l2Norm: NodeBuilder<L2NormNode> = {
  demand: () => 'wide',
  form: normForm,
  build(node, form, context) {
    const gamma = new Float32Array(node.cols).fill(1);
    const beta = new Float32Array(node.cols);
    buildNorm(
      node,
      form,
      { op: 'layerNorm', center: false, gamma, beta, epsilon: node.epsilon ** 2, unit: 1 },
      context,
    );
  },
};
