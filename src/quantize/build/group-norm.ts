import type { GroupNormNode } from '../../graph/types.js';
import { writtenScales } from '../decide/encoding.js';
import type { NodeBuilder } from './definition.js';
import { normForm } from './norm.js';
import { requantizeTo } from './requantization.js';

export const groupNorm: NodeBuilder<GroupNormNode> = {
  demand: () => 'fixed',
  form: normForm,
  build(node, form, { builder, request }) {
    const { id, name, rows, cols, groups, gamma, beta } = node;
    const source = request.calibration.plan.nodes.get(node.x)!;
    const x = builder.inForm(node.x, 'fixed', cols, source.name);
    const count = (rows * cols) / groups;
    const target = request.encodings.target(id, form, cols);
    // β is part of what the offset takes off.
    const center = target.center.map((t, c) => t - beta[c]);
    const requantized = requantizeTo({ ...target, center }, (c) => gamma[c] * Math.sqrt(count) * 2 ** -30, name);
    const epsilon = BigInt(Math.round((node.epsilon * count) / x.scale[0] ** 2));
    builder.define(
      id,
      form,
      { op: 'groupNorm', name, rows, cols, out: target.out, x: x.value, groups, epsilon, ...requantized },
      writtenScales(target),
    );
  },
};
