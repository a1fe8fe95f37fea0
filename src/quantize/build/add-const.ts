import type { AddConstNode } from '../../graph/types.js';
import { wideConstant } from './constant.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { WIDE } from './program-builder.js';

export const addConst: NodeBuilder<AddConstNode> = {
  demand: wideDemand,
  form: wideDemand,
  build({ id, name, rows, cols, x, value }, _form, { builder }) {
    const a = builder.wide(x).value;
    const constant = { name: `${name}.constant`, rows, cols, value };
    const { value: b } = builder.emit(wideConstant(constant, builder.wideScale(id)));
    builder.defineWide(id, { op: 'add', name, rows, cols, out: WIDE, a, b });
  },
};
