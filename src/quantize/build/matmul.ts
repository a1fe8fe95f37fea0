import type { AttentionView, MatmulNode } from '../../graph/types.js';
import type { OperandView } from '../../program/types.js';
import { writtenScales } from '../decide/encoding.js';
import type { BuildContext, NodeBuilder } from './definition.js';
import { requantizeTo } from './requantization.js';

export const matmul: NodeBuilder<MatmulNode> = {
  demand: () => 'fixed',
  form: (_node, wanted) => wanted,
  build(node, form, context) {
    const { id, name, rows, cols, batch, heads, m, n, dim } = node;
    const { builder, request } = context;
    const [a, b] = [fixedOperand(node.a, context), fixedOperand(node.b, context)];
    const target = request.encodings.target(id, form, cols);
    const op = {
      ...{ op: 'matmul' as const, name, rows, cols, out: target.out, a: a.view, b: b.view },
      ...{ batch, heads, m, n, k: dim },
    };
    // Sums of `dim` products of 30 bits, times the multiplier, stay within 62.
    const bits = Math.min(31, 62 - 30 - Math.ceil(Math.log2(dim)));
    builder.define(
      id,
      form,
      { ...op, ...requantizeTo(target, () => a.scale * b.scale, name, bits) },
      writtenScales(target),
    );
  },
};

function fixedOperand(
  { source, stride, rows, offset, headStride }: AttentionView,
  { builder, request }: BuildContext,
): { readonly view: OperandView; readonly scale: number } {
  const { name, cols } = request.calibration.plan.nodes.get(source)!;
  const { value, scale } = builder.inForm(source, 'fixed', cols, name);
  return { view: { x: value, stride, rows, offset, headStride }, scale: scale[0] };
}
