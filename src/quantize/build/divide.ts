import type { ChannelStatistics } from '../../calibrate/statistics.js';
import type { DivideNode } from '../../graph/types.js';
import { MAX_QUOTIENT_BITS } from '../../program/limits.js';
import { writtenScales } from '../decide/encoding.js';
import { broadcastOperand } from './broadcast-operand.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { requantizeTo } from './requantization.js';

/** Bits that the largest quotient seen may have: it can become eight times as large. */
const QUOTIENT_BITS = 28;

export const divide: NodeBuilder<DivideNode> = {
  demand: wideDemand,
  form: (_node, wanted) => wanted,
  build(node, form, { builder, request }) {
    const { id, name, rows, cols } = node;
    const { encodings, calibration } = request;
    const target = encodings.target(id, form, cols);
    const [a, b] = [builder.wide(node.a), builder.wide(node.b)];
    const unit = a.scale[0] / b.scale[0];
    const bits = fractionBits(calibration.statistics.get(id)!, unit);
    const operands = { a: a.value, b: broadcastOperand(name, node, b, builder) };
    const op = { op: 'divide' as const, name, rows, cols, out: target.out, ...operands, bits };
    builder.define(id, form, { ...op, ...requantizeTo(target, () => unit * 2 ** -bits, name) }, writtenScales(target));
  },
};

/** @param unit of a quotient of integers */
function fractionBits({ min, max }: ChannelStatistics, unit: number): number {
  const largest = Math.max(Math.max(...max, ...min.map((v) => -v)) / unit, 2 ** -MAX_QUOTIENT_BITS);
  return Math.max(0, Math.min(MAX_QUOTIENT_BITS, QUOTIENT_BITS - Math.ceil(Math.log2(largest))));
}
