import { isOperation, type Expr, type OperationExpr } from '../expr.js';
import { coarsen, refine } from '../../graph/layout.js';
import type { Lowered, Lowerer } from '../lower.js';
import { sizeOf } from '../constant.js';
import type { Operator, OperatorContext } from '../operator.js';
import { centredOf, inverseDeviation, isSame, rewritten } from './deviation.js';
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
    if (found) return withAxesLast(expr, found, lowerer, (runs) => normalized(expr, found, runs, lowerer));
    const other = 'inputs' in expr ? rewritten(expr) : null;
    return other && lowerer.lower(other);
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
    const deviation = found && inverseDeviation(inverse);
    if (deviation && deviation.share === 1 && isSame(deviation, found)) return { ...found, epsilon: deviation.epsilon };
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
