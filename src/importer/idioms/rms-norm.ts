import { isOperation, sameExpr, scalarValue, type Expr, type OperationExpr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';
import { alongAxes } from './along-axes.js';
import type { Idiom } from './idiom.js';

/** x/√(mean(x²) + ε), as operators of their own or written out. γ is folded in afterwards. */
export const rmsNorm: Idiom = {
  name: 'RMSNorm',
  operators: {
    RMSNormalization: (c) => normalize(c, c.input(0), c.input(1)),
    SimplifiedLayerNormalization: (c) => normalize(c, c.input(0), c.input(1)),
    'com.microsoft::SimplifiedLayerNormalization': (c) => normalize(c, c.input(0), c.input(1)),
    'com.microsoft::SkipSimplifiedLayerNormalization': skipNormalize,
  },
  lower(expr, lowerer) {
    const found = isOperation(expr, 'mul') && decomposed(expr);
    if (!found) return null;
    const { epsilon } = found;
    return alongAxes(expr, found, lowerer, ({ x, rows, cols }) => ({
      op: 'layerNorm',
      rows,
      cols,
      x,
      center: false,
      gamma: new Float32Array(cols).fill(1),
      beta: new Float32Array(cols),
      epsilon,
    }));
  },
};

function normalize(c: OperatorContext, x: Expr, gamma: Expr): Expr {
  const rank = x.shape.length;
  const first = c.axis(c.int('axis', -1), rank);
  const axes = Array.from({ length: rank - first }, (_, i) => first + i);
  const square = c.b.reduce('mean', c.b.mul(x, x), axes);
  const inverse = c.b.power(c.b.add(square, c.b.scalar(c.float('epsilon', 1e-5))), -0.5);
  return c.b.mul(c.b.mul(x, inverse), gamma);
}

/** ONNX Runtime: RMSNorm of a sum; the sum is the fourth output. */
function skipNormalize(c: Parameters<Operator>[0]): Expr[] {
  let sum = c.b.add(c.input(0), c.input(1));
  if (c.has(3)) sum = c.b.add(sum, c.input(3));
  const out = normalize(c, sum, c.input(2));
  return [out, out, out, sum];
}

/** x · 1/√(mean(x²) + ε). */
function decomposed(expr: OperationExpr): { x: Expr; axes: readonly number[]; epsilon: number } | null {
  for (const [x, inverse] of [expr.inputs, [...expr.inputs].reverse()]) {
    if (!isOperation(inverse, 'reciprocal') || !isOperation(inverse.inputs[0], 'sqrt')) continue;
    const [sum] = inverse.inputs[0].inputs;
    const epsilon = isOperation(sum, 'add') ? scalarValue(sum.inputs[1]) : 0;
    const mean = isOperation(sum, 'add') ? sum.inputs[0] : sum;
    if (epsilon === null || !isOperation(mean, 'mean') || !isOperation(mean.inputs[0], 'mul')) continue;
    const [square] = mean.inputs;
    const isOfX = isOperation(square, 'mul') && square.inputs.every((factor) => sameExpr(factor, x));
    if (isOfX) return { x, axes: mean.attributes.axes!, epsilon };
  }
  return null;
}
