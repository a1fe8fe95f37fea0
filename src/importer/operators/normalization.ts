import { sizeOf } from '../constant.js';
import { isConstant, type Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';
import { trainingMode } from '../problems.js';

const batchNormalization: Operator = (c) => {
  const x = c.input(0);
  const epsilon = c.float('epsilon', 1e-5);
  const isTraining = c.int('training_mode', 0) !== 0;
  // Standardised weights are normalized by themselves. Before opset 14 further outputs said so.
  if (isConstant(x) && (isTraining || c.node.outputs.length > 1)) return standardised(c, x, epsilon);
  if (isTraining && isLayerNorm(c)) return inGroups(c, x, x.shape[1]);
  if (isTraining) throw trainingMode('it normalizes by the images of a batch');
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((i) => c.constant(i));
  const scale = c.b.fold([gamma, variance], (g, v) => g / Math.sqrt(v + epsilon));
  const shift = c.b.fold([beta, mean, scale.value], (b, m, s) => b - m * s);
  return perChannel(c, x, scale, shift);
};

/**
 * Keras writes LayerNorm so: tokens as the channels of one map of width 1, normalized by themselves, without factors.
 */
function isLayerNorm(c: OperatorContext): boolean {
  const { shape } = c.input(0);
  const isAll = (i: number, value: number): boolean => c.constant(i).uniform === value;
  return shape.length === 4 && shape[0] === 1 && shape[3] === 1 && isAll(1, 1) && isAll(2, 0);
}

/** A constant normalized over all but its channels. */
function standardised(c: OperatorContext, x: Expr, epsilon: number): Expr {
  const axes = x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const centred = c.b.sub(x, c.b.reduce('mean', x, axes));
  const variance = c.b.reduce('mean', c.b.mul(centred, centred), axes);
  const normal = c.b.mul(centred, c.b.power(c.b.add(variance, c.b.scalar(epsilon)), -0.5));
  return perChannel(c, normal, c.input(1), c.input(2));
}

/** x·scale + shift, of each channel. */
function perChannel(c: OperatorContext, x: Expr, scale: Expr, shift: Expr): Expr {
  const channels = [1, x.shape[1], ...x.shape.slice(2).map(() => 1)];
  return c.b.add(c.b.mul(x, c.b.reshape(scale, channels)), c.b.reshape(shift, channels));
}

/** x [N, C, …] normalized over each of so many groups of channels and all positions. */
function inGroups(c: OperatorContext, x: Expr, groups: number): Expr {
  const [n, ...rest] = x.shape;
  const runs = c.b.reshape(x, [n, groups, sizeOf(rest) / groups]);
  return c.b.reshape(c.b.normalize(runs, c.float('epsilon', 1e-5)), x.shape);
}

const instanceNormalization: Operator = (c) => {
  const x = c.input(0);
  return perChannel(c, inGroups(c, x, x.shape[1]), c.input(1), c.input(2));
};

/** x [N, C, …] normalized in groups of channels, then γ and β of each channel. */
export function channelsInGroups(
  c: OperatorContext,
  x: Expr,
  { groups, gamma, beta }: { readonly groups: number; readonly gamma: Expr; readonly beta: Expr },
): Expr {
  const normal = inGroups(c, x, groups);
  // Up to opset 20 there is one factor for each group.
  const spread = (values: Expr): Expr =>
    values.shape[0] === x.shape[1]
      ? values
      : c.b.reshape(c.b.expand(c.b.reshape(values, [groups, 1]), [groups, x.shape[1] / groups]), [x.shape[1]]);
  return perChannel(c, normal, spread(gamma), spread(beta));
}

/** x / ‖x‖ along one axis. */
const lpNormalization: Operator = (c) => {
  const x = c.input(0);
  const axes = [c.axis(c.int('axis', -1), x.shape.length)];
  if (c.int('p', 2) === 1) return c.b.div(x, c.b.reduce('sum', c.b.scalarOp('abs', x), axes));
  return c.b.div(x, c.b.scalarOp('sqrt', c.b.reduce('sum', c.b.mul(x, x), axes)));
};

/** What the operator adds to the deviation, so that nothing is divided by zero. Beside the variance its square does. */
const DEVIATION_EPSILON = 1e-9;

const meanVarianceNormalization: Operator = (c) => {
  const x = c.input(0);
  const axes = (c.intsOr('axes', null) ?? [0, 2, 3]).map((axis) => c.axis(axis, x.shape.length));
  const centred = c.b.sub(x, c.b.reduce('mean', x, axes));
  const variance = c.b.reduce('mean', c.b.mul(centred, centred), axes);
  return c.b.mul(centred, c.b.power(c.b.add(variance, c.b.scalar(DEVIATION_EPSILON ** 2)), -0.5));
};

/** x / (bias + α/size · Σ x² of neighbouring channels)^β. */
const localResponse: Operator = (c) => {
  const x = c.input(0);
  const size = c.int('size', 1);
  const [alpha, beta, bias] = [c.float('alpha', 1e-4), c.float('beta', 0.75), c.float('bias', 1)];
  const [n, channels, ...rest] = x.shape;
  const square = c.b.mul(x, x);
  const first = -Math.floor((size - 1) / 2);
  const neighbours = Array.from({ length: size }, (_, k) => {
    const read = Array.from({ length: channels }, (__, i) =>
      i + first + k < channels ? Math.max(-1, i + first + k) : -1,
    );
    return c.b.take(square, [null, read]);
  });
  const sum = neighbours.reduce((a, b) => c.b.add(a, b));
  const base = c.b.add(c.b.mul(sum, c.b.scalar(alpha / size)), c.b.scalar(bias));
  return c.b.reshape(c.b.mul(x, c.b.power(base, -beta)), [n, channels, ...rest]);
};

/** Norms of channels of maps, and along axes. */
export const normalizationOperators: Readonly<Record<string, Operator>> = {
  BatchNormalization: batchNormalization,
  LpNormalization: lpNormalization,
  MeanVarianceNormalization: meanVarianceNormalization,
  LRN: localResponse,
  InstanceNormalization: instanceNormalization,
  GroupNormalization: (c) =>
    channelsInGroups(c, c.input(0), { groups: c.int('num_groups', 1), gamma: c.input(1), beta: c.input(2) }),
};
