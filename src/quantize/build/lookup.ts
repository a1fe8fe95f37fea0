import { applyFormula, type Formula } from '../../graph/formula.js';
import type { LookupNode } from '../../graph/types.js';
import { TABLE_LIMIT } from '../../program/limits.js';
import { TABLE_ENTRIES } from '../../program/ops/lookup.js';
import { writtenScales, type ChannelScales } from '../decide/encoding.js';
import type { NodeBuilder } from './definition.js';
import { requantizeTo } from './requantization.js';

export const lookup: NodeBuilder<LookupNode> = {
  demand: () => 'table',
  form: (_node, wanted) => wanted,
  build(node, form, { builder, request }) {
    const { id, name, rows, cols, formula } = node;
    const { calibration, encodings } = request;
    const x = builder.inForm(node.x, 'table', cols, calibration.plan.nodes.get(node.x)!.name);
    const { min, max } = calibration.statistics.get(node.x)!;
    const seen = { low: Math.min(...min), high: Math.max(...max) };
    const { table, unit } = tabulate(formula, x, seen);
    const target = encodings.target(id, form, cols);
    const op = { op: 'lookup' as const, name, rows, cols, out: target.out, x: x.value, table };
    builder.define(id, form, { ...op, ...requantizeTo(target, () => unit, name) }, writtenScales(target));
  },
};

/** The function at every 256th step of its input. Where it is no number, that of the nearest value seen counts. */
function tabulate(
  formula: Formula,
  { scale, center }: ChannelScales,
  { low, high }: { readonly low: number; readonly high: number },
): { table: Int32Array; unit: number } {
  const values = Float64Array.from({ length: TABLE_ENTRIES }, (_, i) => {
    const x = (256 * i - 32768) * scale[0] + center[0];
    const y = applyFormula(formula, x);
    return Number.isFinite(y) ? y : applyFormula(formula, Math.max(low, Math.min(high, x)));
  });
  const inside = values.filter((_, i) => {
    const x = (256 * i - 32768) * scale[0] + center[0];
    return x >= low && x <= high;
  });
  // Beyond what was seen a pole may lie: what was seen keeps half of the range.
  const most = inside.reduce((a, y) => Math.max(a, Math.abs(y)), 0) || 1;
  const unit = (2 * most) / TABLE_LIMIT;
  const table = Int32Array.from(values, (y) => Math.max(-TABLE_LIMIT, Math.min(TABLE_LIMIT, Math.round(y / unit))));
  return { table, unit };
}
