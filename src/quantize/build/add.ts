import type { AddNode } from '../../graph/types.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { WIDE } from './program-builder.js';

export const add: NodeBuilder<AddNode> = {
  demand: wideDemand,
  form: wideDemand,
  build({ id, name, rows, cols, a, b }, _form, { builder }) {
    if (builder.has(id, 'wide')) return; // fused into the linear layer before it
    const operands = { a: builder.wide(a).value, b: builder.wide(b).value };
    builder.defineWide(id, { op: 'add', name, rows, cols, out: WIDE, ...operands });
  },
};
