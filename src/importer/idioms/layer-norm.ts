import { isOperation, scalarValue, type Expr, type OperationExpr } from '../expr.js';
import { coarsen } from '../../graph/layout.js';
import type { Lowered, Lowerer } from '../lower.js';
import { sizeOf } from '../constant.js';
import type { Operator, OperatorContext } from '../operator.js';
import { sameExpr } from '../expr.js';
import type { Idiom } from './idiom.js';

/** LayerNorm as one operator, or from means, differences and a root. γ and β are folded in afterwards. */
export const layerNorm: Idiom = {
  name: 'LayerNorm',
  operators: {
    LayerNormalization: (c) => layerNormalization(c, c.input(0), c.input(1), c.has(2) ? c.input(2) : null),
    'com.microsoft::SkipLayerNormalization': skipLayerNormalization,
  },
  lower(expr, lowerer) {
    if (isOperation(expr, 'normalize')) return normalized(expr, expr.inputs[0], expr.attributes.epsilon!, lowerer);
    const found = isOperation(expr, 'mul') && decomposed(expr);
    return found ? normalized(expr, found.x, found.epsilon, lowerer) : null;
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

/** (x − mean) · 1/√(mean((x − mean)²) + ε), all along the last axis. */
function decomposed(expr: OperationExpr): { x: Expr; epsilon: number } | null {
  for (const [centred, inverse] of [expr.inputs, [...expr.inputs].reverse()]) {
    const x = centredOf(centred);
    if (!x || !isOperation(inverse, 'reciprocal') || !isOperation(inverse.inputs[0], 'sqrt')) continue;
    const [sum] = inverse.inputs[0].inputs;
    if (!isOperation(sum, 'add')) continue;
    const epsilon = scalarValue(sum.inputs[1]);
    const square = meanAlongRows(sum.inputs[0]);
    if (epsilon === null || !square || !isOperation(square, 'mul')) continue;
    if (square.inputs.every((factor) => sameExpr(factor, centred))) return { x, epsilon };
  }
  return null;
}

/** The x of x − mean(x). */
function centredOf(expr: Expr): Expr | null {
  if (!isOperation(expr, 'add')) return null;
  for (const [x, negated] of [expr.inputs, [...expr.inputs].reverse()]) {
    if (!isOperation(negated, 'mul') || scalarValue(negated.inputs[1]) !== -1) continue;
    const averaged = meanAlongRows(negated.inputs[0]);
    if (averaged && sameExpr(averaged, x)) return x;
  }
  return null;
}

function meanAlongRows(expr: Expr): Expr | null {
  if (!isOperation(expr, 'mean')) return null;
  const { axes } = expr.attributes;
  return axes?.length === 1 && axes[0] === expr.shape.length - 1 ? expr.inputs[0] : null;
}

function normalized(expr: Expr, x: Expr, epsilon: number, lowerer: Lowerer): Lowered {
  const cols = expr.shape.at(-1)!;
  const { x: source, rows, order } = lowerer.byRows(lowerer.lower(x), cols, x);
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
  return lowerer.emit(expr, node, [], expr.shape, coarsen(order, [rows * cols]));
}
