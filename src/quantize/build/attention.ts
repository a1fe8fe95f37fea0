import type { AttentionNode, AttentionView } from '../../graph/types.js';
import type { AttentionOp, OperandView } from '../../program/types.js';
import { writtenScales } from '../decide/encoding.js';
import { attentionColumn } from '../decide/operand-scales.js';
import type { AttentionOperands } from '../schemes/kernel-scheme.js';
import type { BuildContext, NodeBuilder } from './definition.js';
import { encodeMultipliers } from './multipliers.js';
import { scoreBias, scoreMultipliers } from './scores.js';

export const attention: NodeBuilder<AttentionNode> = {
  demand: () => 'operand',
  form: (_node, wanted) => (wanted === 'codes' ? 'codes' : 'wide'),
  build(node, form, context) {
    const { builder, request, attentions, functions } = context;
    const { encodings, scheme, sensitivities } = request;
    const { id, name, rows, cols, batch, heads, queries, keys, dim, valueDim, biasBatch, biasHeads } = node;
    const scales = encodings.operands.of(node);
    const target = encodings.target(id, form, cols);
    const [q, k, v] = [node.q, node.k, node.v].map((view) => operandView(view, context));
    const images = (): Iterable<AttentionOperands> => fittedOperands(q, k, context);
    const { softmax, fractionBits, scoreUnit, weightUnit } = scheme.kernels.softmax(node, scales.product, images);
    const factors = target.scale.map(
      (s, c) => (scales.v.scale[attentionColumn(node, scales.v.scale.length, c)] * weightUnit) / s,
    );
    const score = scoreMultipliers(
      scales.product.map((s, h) => (s * node.scale[h]) / scoreUnit),
      dim,
    );
    const op: AttentionOp = {
      ...{ op: 'attention', name, rows, cols, out: target.out },
      ...{ q, k, v, batch, heads, queries, keys, dim, valueDim },
      ...{ softmax, softmaxBits: typeof softmax === 'string' ? encodings.bits.softmax(node) : 8, fractionBits },
      ...{ scoreMultiplier: score.multiplier, scoreShift: score.shift },
      ...{ bias: node.bias === null ? null : scoreBias(node.bias, scoreUnit), biasBatch, biasHeads },
      ...encodeMultipliers(factors, name),
    };
    const emitted = builder.emit(op);
    builder.remember(id, form, emitted, writtenScales(target));
    functions.push({
      ...{ function: 'softmax', name: emitted.op.name, scoreUnit },
      weightUnit: typeof softmax === 'string' ? null : weightUnit,
    });
    if (scheme.kernels.softmaxKind === null) return;
    attentions.push({
      name: emitted.op.name,
      softmaxBits: op.softmaxBits,
      sensitivity: sensitivities.softmax.get(id)?.error ?? null,
    });
  },
};

function operandView(view: AttentionView, { builder, request }: BuildContext): OperandView {
  const { source, stride, rows, offset, headStride } = view;
  const { name, cols } = request.calibration.plan.nodes.get(source)!;
  return { x: builder.inForm(source, 'operand', cols, name).value, stride, rows, offset, headStride };
}

/** The integer operands on every image that is fitted to. */
function* fittedOperands(
  q: OperandView,
  k: OperandView,
  { builder, request }: BuildContext,
): Generator<AttentionOperands> {
  const [queries, keys] = [builder.valuesOf(q.x), builder.valuesOf(k.x)];
  for (let i = 0; i < request.calibration.fitImages; i++) yield { q: queries.of(i).data, k: keys.of(i).data };
}
