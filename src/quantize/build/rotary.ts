import type { RotaryNode } from '../../graph/types.js';
import type { ValueId } from '../../program/value.js';
import { QUANTIZED_LIMIT_16, writtenScales } from '../decide/encoding.js';
import type { NodeBuilder } from './definition.js';
import type { ProgramBuilder } from './program-builder.js';
import { requantizeTo } from './requantization.js';

export const rotary: NodeBuilder<RotaryNode> = {
  // Channels are mixed with each other: one scale for all.
  demand: () => 'fixed',
  form: (_node, wanted) => wanted,
  build(node, form, { builder, request }) {
    const { id, name, rows, cols, xCols, column, partner, cos, sin } = node;
    const x = builder.inForm(node.x, 'fixed', xCols, request.calibration.plan.nodes.get(node.x)!.name);
    const target = request.encodings.target(id, form, cols);
    const largest = [cos, sin].reduce((most, table) => table.reduce((a, v) => Math.max(a, Math.abs(v)), most), 0);
    const scale = largest / QUANTIZED_LIMIT_16;
    const tables = { cos: tableOf(node, 'cos', scale, builder), sin: tableOf(node, 'sin', scale, builder) };
    const op = { op: 'rotate' as const, name, rows, cols, out: target.out, x: x.value, ...tables, column, partner };
    builder.define(id, form, { ...op, ...requantizeTo(target, () => x.scale[0] * scale, name) }, writtenScales(target));
  },
};

/** A table as a constant, the same for all that share it. */
function tableOf(node: RotaryNode, which: 'cos' | 'sin', scale: number, builder: ProgramBuilder): ValueId {
  const { name, tableRows: rows, period: cols, [which]: table } = node;
  return builder.constantOf(table, scale, () => ({
    ...{ op: 'constant', name: `${name}.${which}`, rows, cols, out: { type: 'i16' } },
    data: Int16Array.from(table, (v) => Math.round(v / scale)),
  }));
}
