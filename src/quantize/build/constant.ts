import type { ConstantNode } from '../../graph/types.js';
import type { ConstantOp } from '../../program/types.js';
import { QUANTIZED_LIMIT } from '../decide/encoding.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { WIDE } from './program-builder.js';

export const constant: NodeBuilder<ConstantNode> = {
  demand: wideDemand,
  form: (_node, wanted) => (wanted === 'operand' ? 'operand' : 'wide'),
  build(node, form, { builder, request }) {
    if (form !== 'operand') return builder.defineWide(node.id, wideConstant(node, builder.wideScale));
    const { id, name, rows, cols, value } = node;
    const { scale, center } = request.encodings.target(id, 'operand', cols);
    const data = Int8Array.from(value, (v, i) =>
      Math.max(-QUANTIZED_LIMIT, Math.min(QUANTIZED_LIMIT, Math.round((v - center[i % cols]) / scale[i % cols]))),
    );
    builder.define(id, 'operand', { op: 'constant', name, rows, cols, out: { type: 'i8' }, data }, { scale, center });
  },
};

/** A constant in the residual stream's scale. */
export function wideConstant(
  { name, rows, cols, value }: Pick<ConstantNode, 'name' | 'rows' | 'cols' | 'value'>,
  wideScale: number,
): ConstantOp {
  return {
    op: 'constant',
    name,
    rows,
    cols,
    out: WIDE,
    data: Int32Array.from(value, (v) => Math.round(v / wideScale)),
  };
}
