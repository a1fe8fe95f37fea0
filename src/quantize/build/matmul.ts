import type { GraphNode, MatmulNode } from '../../graph/types.js';
import type { MatrixView } from '../../program/types.js';
import type { Demand } from '../plan/types.js';
import { writtenScales } from '../decide/encoding.js';
import type { BuildContext, NodeBuilder } from './definition.js';
import { requantizeTo } from './requantization.js';

export const matmul: NodeBuilder<MatmulNode> = {
  demand: operandForm,
  form: (_node, wanted) => wanted,
  build(node, form, context) {
    const { id, name, rows, cols, batch, heads, m, n, dim } = node;
    const { builder, request } = context;
    const [a, b] = [operandOf(node, node.a, context), operandOf(node, node.b, context)];
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
      {
        ...op,
        ...requantizeTo(
          target,
          (c) => scaleOf(node.a, a.scale) * b.scale[columnOf(node, c, b.scale.length)],
          name,
          bits,
        ),
      },
      writtenScales(target),
    );
  },
};

/** All of what is summed has one scale: that of its first column. */
const scaleOf = ({ offset }: MatmulNode['a'], scale: Float64Array): number => scale[offset % scale.length];

/** The column of b that column c of the product is made of, where b is transposed; else all have one scale. */
const columnOf = ({ b, n }: MatmulNode, c: number, columns: number): number =>
  (b.transposed ? b.offset + Math.floor(c / n) * b.headStride + (c % n) : b.offset) % columns;

/**
 * What is summed has one scale: all of the operand, or each column where these are the rows of a transposed product. A
 * layer is converted once for all of the products that read it.
 */
function operandForm({ a, b }: MatmulNode, { id, cols, op }: GraphNode): Extract<Demand, 'fixed' | 'factor'> {
  const isProduct = op === 'matmul' && b.source === id && a.source !== id;
  return b.transposed && isProduct && b.stride === cols ? 'factor' : 'fixed';
}

function operandOf(
  node: MatmulNode,
  view: MatmulNode['b'],
  { builder, request }: BuildContext,
): { readonly view: MatrixView; readonly scale: Float64Array } {
  const { stride, rows, offset, headStride, transposed } = view;
  const source = request.calibration.plan.nodes.get(view.source)!;
  const { value, scale } = builder.inForm(source.id, operandForm(node, source), source.cols, source.name);
  return { view: { x: value, stride, rows, offset, headStride, ...(transposed && { transposed }) }, scale };
}
