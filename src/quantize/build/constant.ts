import type { ConstantNode } from '../../graph/types.js';
import { outputRange } from '../../program/limits.js';
import type { ConstantOp } from '../../program/types.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { WIDE } from './program-builder.js';

export const constant: NodeBuilder<ConstantNode> = {
  demand: wideDemand,
  form: (_node, wanted) => (wanted === 'operand' || wanted === 'factor' || wanted === 'fixed' ? wanted : 'wide'),
  build(node, form, { builder, request }) {
    if (form === 'wide') return builder.defineWide(node.id, wideConstant(node, builder.wideScale(node.id)));
    const { id, name, rows, cols, value } = node;
    const { out, scale, center } = request.encodings.target(id, form, cols);
    const { lo, hi } = outputRange(out);
    const integers = value.map((v, i) =>
      Math.max(lo, Math.min(hi, Math.round((v - center[i % cols]) / scale[i % cols]))),
    );
    const data = out.type === 'i8' ? Int8Array.from(integers) : Int16Array.from(integers);
    builder.define(id, form, { op: 'constant', name, rows, cols, out, data }, { scale, center });
  },
};

/** A constant as int32. */
export function wideConstant(
  { name, rows, cols, value }: Pick<ConstantNode, 'name' | 'rows' | 'cols' | 'value'>,
  scale: number,
): ConstantOp {
  return {
    op: 'constant',
    name,
    rows,
    cols,
    out: WIDE,
    data: Int32Array.from(value, (v) => Math.round(v / scale)),
  };
}
