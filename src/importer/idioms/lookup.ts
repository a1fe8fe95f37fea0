import { isConstant, isOperation, type Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';
import { functionsOf } from './functions.js';
import type { Idiom } from './idiom.js';

/** Any other function of one number: tanh, sigmoid, ELU, Mish, softplus, clips. */
export const lookup: Idiom = {
  name: 'function',
  operators: {
    Elu: (c) => elu(c, c.float('alpha', 1), 1),
    Celu: (c) => elu(c, c.float('alpha', 1), c.float('alpha', 1)),
    Selu: selu,
    LeakyRelu: (c) => leaky(c, c.b.scalar(c.float('alpha', 0.01))),
    PRelu: (c) => leaky(c, c.input(1)),
    Softplus: (c) => softplus(c, c.input(0)),
    Softsign: softsign,
    Mish: (c) => c.b.mul(c.input(0), c.b.scalarOp('tanh', softplus(c, c.input(0)))),
  },
  lower(expr, lowerer) {
    if (isOtherwise(expr)) return null;
    // From as far below as it goes: one table stands for all steps.
    const found = functionsOf(expr).findLast(({ x }) => !isResidual(expr, x));
    if (found === undefined) return null;
    const { x, order } = lowerer.anyOrder(lowerer.broadcast(lowerer.lower(found.x), expr.shape), found.x);
    const { rows, cols } = lowerer.node(x);
    return lowerer.emit(expr, { op: 'lookup', rows, cols, x, formula: found.formula }, [], expr.shape, order);
  },
};

/** A factor or summand after the function is none of it: layers beside it may take it in. */
const isOtherwise = (expr: Expr): boolean =>
  (isOperation(expr, 'add') || isOperation(expr, 'mul')) && expr.inputs.some(isConstant);

/** x + f(x): the sum keeps x as it is. */
const isResidual = (expr: Expr, x: Expr): boolean => isOperation(expr, 'add') && expr.inputs.includes(x);

/** max(x, 0) and min(x, 0). */
function halves(c: OperatorContext): readonly [positive: Expr, negative: Expr] {
  return [c.b.scalarOp('relu', c.input(0)), c.b.extremum('min', c.input(0), c.b.scalar(0))];
}

/** max(x, 0) + α·(exp(min(x, 0)/divisor) − 1). */
function elu(c: OperatorContext, alpha: number, divisor: number): Expr {
  const [positive, negative] = halves(c);
  const exp = c.b.scalarOp('exp', c.b.mul(negative, c.b.scalar(1 / divisor)));
  return c.b.add(positive, c.b.mul(c.b.add(exp, c.b.scalar(-1)), c.b.scalar(alpha)));
}

function selu(c: Parameters<Operator>[0]): Expr {
  return c.b.mul(
    elu(c, c.float('alpha', 1.67326319217681884765625), 1),
    c.b.scalar(c.float('gamma', 1.05070102214813)),
  );
}

/** max(x, 0) + slope·min(x, 0). */
function leaky(c: OperatorContext, slope: Expr): Expr {
  const [positive, negative] = halves(c);
  return c.b.add(positive, c.b.mul(negative, slope));
}

/** log(1 + exp(x)), written so that no step overflows: max(x, 0) + log(1 + exp(−|x|)). */
function softplus(c: OperatorContext, x: Expr): Expr {
  const exp = c.b.scalarOp('exp', c.b.mul(c.b.scalarOp('abs', x), c.b.scalar(-1)));
  return c.b.add(c.b.scalarOp('relu', x), c.b.scalarOp('log', c.b.add(exp, c.b.scalar(1))));
}

function softsign(c: Parameters<Operator>[0]): Expr {
  const x = c.input(0);
  return c.b.mul(x, c.b.scalarOp('reciprocal', c.b.add(c.b.scalarOp('abs', x), c.b.scalar(1))));
}
