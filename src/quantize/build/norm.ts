/** What norms have in common. */
import type { L2NormNode, LayerNormNode } from '../../graph/types.js';
import type { Op } from '../../program/types.js';
import { writtenScales } from '../decide/encoding.js';
import { FINE_NORM } from '../functions.js';
import type { Demand } from '../plan/types.js';
import type { BuildContext } from './definition.js';
import { encodeFactorsAndOffsets } from './multipliers.js';
import { WIDE } from './program-builder.js';

interface Norm {
  readonly op: 'layerNorm' | 'paperNorm' | 'floatNorm';
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
  const { builder, request, functions } = context;
  const { id, name, rows, cols } = node;
  const target = request.encodings.target(id, form, cols);
  const unit = norm.unit * 2 ** -30;
  const factors = Float64Array.from(norm.gamma, (g, c) => (g * unit) / target.scale[c]);
  const offsets = Float64Array.from(norm.beta, (b, c) => (b - target.center[c]) / target.scale[c]);
  const requantized = encodeFactorsAndOffsets(factors, offsets, name);
  const { value: x, scale } = builder.wide(node.x);
  const common = { name, rows, cols, out: target.out, x, ...requantized };
  const epsilon = BigInt(Math.round(norm.epsilon / scale[0] ** 2));
  const asOp = (requantizing: typeof common): Op =>
    norm.op === 'paperNorm'
      ? { op: norm.op, ...requantizing }
      : { op: norm.op, ...requantizing, center: norm.center, epsilon };
  const { name: opName } = builder.define(id, form, asOp(common), writtenScales(target));
  const finely = encodeFactorsAndOffsets(new Float64Array(cols).fill(unit / FINE_NORM), new Float64Array(cols), name);
  functions.push({
    ...{ function: 'norm', name: opName, center: norm.center, epsilon: norm.epsilon, unit: norm.unit },
    ...{ inputUnit: scale[0], fine: asOp({ ...common, out: WIDE, ...finely }) },
  });
}
