import type { GraphNode, MultiplyNode } from '../../graph/types.js';
import { writtenScales } from '../decide/encoding.js';
import { broadcastOperand } from './broadcast-operand.js';
import type { NodeBuilder } from './definition.js';
import { requantizeTo } from './requantization.js';

export const multiply: NodeBuilder<MultiplyNode> = {
  demand: factorForm,
  form: (_node, wanted) => wanted,
  build(node, form, { builder, request }) {
    const { id, name, rows, cols, bCols } = node;
    const { nodes } = request.calibration.plan;
    const read = (operand: string, width: number) => {
      const source = nodes.get(operand)!;
      return builder.inForm(operand, factorForm(node, source), width, source.name);
    };
    const [a, b] = [read(node.a, cols), read(node.b, bCols)];
    const target = request.encodings.target(id, form, cols);
    const unit = (c: number): number => a.scale[c % a.scale.length] * b.scale[c % b.scale.length];
    const operands = { a: a.value, b: broadcastOperand(name, node, b, builder) };
    const op = { op: 'multiply' as const, name, rows, cols, out: target.out, ...operands };
    builder.define(id, form, { ...op, ...requantizeTo(target, unit, name) }, writtenScales(target));
  },
};

/** Per-channel scales have no meaning in rows of another length. */
function factorForm({ cols, b, bCols }: MultiplyNode, operand: GraphNode): 'factor' | 'fixed' {
  return operand.cols === cols && (operand.id !== b || bCols === cols) ? 'factor' : 'fixed';
}
