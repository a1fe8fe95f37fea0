import { isOperation, scalarValue, type Expr, type OperationExpr } from '../expr.js';
import { coarsen, refine } from '../../graph/layout.js';
import type { Lowered, Lowerer } from '../lower.js';
import { sizeOf } from '../constant.js';
import type { Operator, OperatorContext } from '../operator.js';
import { sameExpr } from '../expr.js';
import { withAxesLast, type Runs } from './along-axes.js';
import type { Idiom } from './idiom.js';

/** LayerNorm as one operator, or from means, differences and a root. γ and β are folded in afterwards. */
export const layerNorm: Idiom = {
  name: 'LayerNorm',
  operators: {
    LayerNormalization: (c) => layerNormalization(c, c.input(0), c.input(1), c.has(2) ? c.input(2) : null),
    'com.microsoft::SkipLayerNormalization': skipLayerNormalization,
  },
  lower(expr, lowerer) {
    const found = isOperation(expr, 'normalize') ? operatorOf(expr) : isOperation(expr, 'mul') && decomposed(expr);
    return found ? withAxesLast(expr, found, lowerer, (runs) => normalized(expr, found, runs, lowerer)) : null;
  },
};

function layerNormalization(c: OperatorContext, x: Expr, gamma: Expr, beta: Expr | null): Expr {
  const rank = x.shape.length;
  const axis = c.axis(c.int('axis', -1), rank);
  const epsilon = c.float('epsilon', 1e-5);
  const flat = axis === rank - 1 ? x : c.b.reshape(x, [...x.shape.slice(0, axis), sizeOf(x.shape.slice(axis))]);
  const scaled = c.b.mul(c.b.reshape(c.b.normalize(flat, epsilon), x.shape), gamma);
  return beta ? c.b.add(scaled, beta) : scaled;
}

/** ONNX Runtime: LayerNorm of a sum; the sum is the fourth output. */
function skipLayerNormalization(c: Parameters<Operator>[0]): Expr[] {
  let sum = c.b.add(c.input(0), c.input(1));
  if (c.has(4)) sum = c.b.add(sum, c.input(4));
  const out = layerNormalization(c, sum, c.input(2), c.has(3) ? c.input(3) : null);
  return [out, out, out, sum];
}

interface Decomposed {
  readonly x: Expr;
  readonly axes: readonly number[];
  readonly epsilon: number;
}

/** (x − mean) · 1/√(mean((x − mean)²) + ε), all along the same axes: the last one, or the channels of a map. */
function decomposed(expr: OperationExpr): Decomposed | null {
  for (const [centred, inverse] of [expr.inputs, [...expr.inputs].reverse()]) {
    const found = centredOf(centred);
    if (!found || !isOperation(inverse, 'reciprocal') || !isOperation(inverse.inputs[0], 'sqrt')) continue;
    const [sum] = inverse.inputs[0].inputs;
    if (!isOperation(sum, 'add')) continue;
    const epsilon = scalarValue(sum.inputs[1]);
    const averaged = sum.inputs[0];
    if (epsilon === null || !isOperation(averaged, 'mean')) continue;
    const [square] = averaged.inputs;
    if (!isOperation(square, 'mul') || averaged.attributes.axes!.join() !== found.axes.join()) continue;
    if (square.inputs.every((factor) => sameExpr(factor, centred))) return { ...found, epsilon };
  }
  return null;
}

/** The x of x − mean(x), and the axes of the mean. */
function centredOf(expr: Expr): Omit<Decomposed, 'epsilon'> | null {
  if (!isOperation(expr, 'add')) return null;
  for (const [x, negated] of [expr.inputs, [...expr.inputs].reverse()]) {
    if (!isOperation(negated, 'mul') || scalarValue(negated.inputs[1]) !== -1) continue;
    const [averaged] = negated.inputs;
    if (!isOperation(averaged, 'mean') || !sameExpr(averaged.inputs[0], x)) continue;
    return { x, axes: averaged.attributes.axes! };
  }
  return null;
}

/** What one operator normalises: its last axis. */
function operatorOf({ inputs: [x], attributes }: OperationExpr): Decomposed {
  return { x, axes: [x.shape.length - 1], epsilon: attributes.epsilon! };
}

function normalized(expr: Expr, { x, epsilon }: Decomposed, { lowered, shape, cols }: Runs, lowerer: Lowerer): Lowered {
  const groups = groupsOf(lowered, cols, lowerer);
  if (groups !== null) {
    const [source] = lowered.sources;
    const { rows, cols: channels } = lowerer.node(source);
    const [gamma, beta] = [new Float32Array(channels).fill(1), new Float32Array(channels)];
    const node = { op: 'groupNorm' as const, rows, cols: channels, x: source, groups, gamma, beta, epsilon };
    return lowerer.emit(expr, node, [], shape, lowered.layout);
  }
  const { x: source, rows, order } = lowerer.byRows(lowered, cols, x);
  const node = {
    op: 'layerNorm' as const,
    rows,
    cols,
    x: source,
    center: true,
    gamma: new Float32Array(cols).fill(1),
    beta: new Float32Array(cols),
    epsilon,
  };
  return lowerer.emit(expr, node, [], shape, coarsen(order, [rows * cols]));
}

/**
 * Into how many groups of channels a map is cut where each run of `size` elements is one group's channels of all
 * pixels; null where runs are anything else.
 */
function groupsOf(lowered: Lowered, size: number, lowerer: Lowerer): number | null {
  if (!lowerer.isPermutation(lowered)) return null;
  const { rows, cols } = lowerer.node(lowered.sources[0]);
  const groups = (rows * cols) / size;
  if (size <= cols || !Number.isInteger(cols / groups)) return null;
  const { index } = refine(lowered.layout, 1);
  const width = cols / groups;
  const isOwn = index.every((from, i) => Math.floor((from % cols) / width) === Math.floor(i / size));
  return isOwn ? groups : null;
}
