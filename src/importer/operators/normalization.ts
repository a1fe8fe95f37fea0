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
  if (isTraining) throw trainingMode('it normalizes by the images of a batch');
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((i) => c.constant(i));
  const scale = c.b.fold([gamma, variance], (g, v) => g / Math.sqrt(v + epsilon));
  const shift = c.b.fold([beta, mean, scale.value], (b, m, s) => b - m * s);
  return perChannel(c, x, scale, shift);
};

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

/** Norms of channels of maps. */
export const normalizationOperators: Readonly<Record<string, Operator>> = {
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
  GroupNormalization: (c) =>
    channelsInGroups(c, c.input(0), { groups: c.int('num_groups', 1), gamma: c.input(1), beta: c.input(2) }),
};
