/** What norms have in common. */
import type { L2NormNode, LayerNormNode } from '../../graph/types.js';
import type { Op } from '../../program/types.js';
import { writtenScales } from '../decide/encoding.js';
import type { Demand } from '../plan/types.js';
import type { BuildContext } from './definition.js';
import { encodeFactorsAndOffsets } from './multipliers.js';

interface Norm {
  readonly op: 'layerNorm' | 'paperNorm';
  readonly center: boolean;
  /** [cols]. */
  readonly gamma: Float32Array;
  /** [cols]. */
  readonly beta: Float32Array;
  /** Added to the sum of squares. */
  readonly epsilon: number;
  /** Real value of 2^30 steps of ŷ. */
  readonly unit: number;
}

/** Norms write what linear layers and attention read. */
export const normForm = (_node: unknown, wanted: Demand): Demand =>
  wanted === 'codes' || wanted === 'operand' ? wanted : 'wide';

export function buildNorm(node: LayerNormNode | L2NormNode, form: Demand, norm: Norm, context: BuildContext): void {
  const { builder, request } = context;
  const { id, name, rows, cols } = node;
  const target = request.encodings.target(id, form, cols);
  const unit = norm.unit * 2 ** -30;
  const factors = Float64Array.from(norm.gamma, (g, c) => (g * unit) / target.scale[c]);
  const offsets = Float64Array.from(norm.beta, (b, c) => (b - target.center[c]) / target.scale[c]);
  const requantized = encodeFactorsAndOffsets(factors, offsets, name);
  const common = { name, rows, cols, out: target.out, x: builder.wide(node.x).value, ...requantized };
  const epsilon = BigInt(Math.round(norm.epsilon / builder.wideScale ** 2));
  const op: Op =
    norm.op === 'paperNorm' ? { op: norm.op, ...common } : { op: norm.op, ...common, center: norm.center, epsilon };
  builder.define(id, form, op, writtenScales(target));
}
