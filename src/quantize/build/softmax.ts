import type { SoftmaxNode } from '../../graph/types.js';
import { writtenScales } from '../decide/encoding.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { encodeMultipliers } from './multipliers.js';
import { requantizeTo } from './requantization.js';
import { SCORE_BITS, SCORE_UNIT } from './scores.js';

/** Real value of one step of a weight. */
const WEIGHT_UNIT = 2 ** -16;

export const softmax: NodeBuilder<SoftmaxNode> = {
  demand: wideDemand,
  form: (_node, wanted) => wanted,
  build({ id, name, rows, cols, x }, form, { builder, request }) {
    const { scheme, encodings } = request;
    const target = encodings.target(id, form, cols);
    const { value, scale } = builder.wide(x);
    const score = encodeMultipliers([scale[0] / SCORE_UNIT], name);
    const op = {
      ...{ op: 'softmax' as const, name, rows, cols, out: target.out, x: value },
      ...{ kind: scheme.kernels.rowSoftmaxKind, fractionBits: SCORE_BITS },
      ...{ scoreMultiplier: score.multiplier[0], scoreShift: score.shift },
    };
    builder.define(id, form, { ...op, ...requantizeTo(target, () => WEIGHT_UNIT, name) }, writtenScales(target));
  },
};
