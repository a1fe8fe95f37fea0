import { isConstant, isOperation, scalarValue, type Expr } from '../expr.js';
import type { Operator } from '../operator.js';
import { ACTIVATION_KINDS, activations } from '../../graph/activations.js';
import { isScalarOp, scalarFunctions } from '../../graph/scalar.js';
import type { ActivationKind } from '../../graph/types.js';
import type { Idiom } from './idiom.js';

/**
 * GELU, its tanh form, quick GELU, SiLU and ReLU. Exporters write them in dozens of associations, so they are told by
 * what they compute: the elementwise steps from one tensor are evaluated on a grid and compared.
 */
export const activation: Idiom = {
  name: 'activation',
  operators: {
    Gelu: gelu,
    'com.microsoft::Gelu': (c) => c.b.scalarOp('gelu', c.input(0)),
    'com.microsoft::BiasGelu': (c) => c.b.scalarOp('gelu', c.b.add(c.input(0), c.input(1))),
    'com.microsoft::FastGelu': (c) => c.b.scalarOp('geluTanh', c.has(1) ? c.b.add(c.input(0), c.input(1)) : c.input(0)),
    'com.microsoft::QuickGelu': (c) => timesSigmoid(c, c.float('alpha', 1.702)),
    Swish: (c) => timesSigmoid(c, c.float('alpha', 1)),
    HardSigmoid: (c) => hardSigmoid(c, c.float('alpha', 0.2), c.float('beta', 0.5)),
    HardSwish: (c) => c.b.mul(c.input(0), hardSigmoid(c, 1 / 6, 0.5)),
  },
  lower(expr, lowerer) {
    const found = recognise(expr);
    if (!found) return null;
    const { x, order } = lowerer.anyOrder(lowerer.lower(found.x), found.x);
    const { rows, cols } = lowerer.node(x);
    return lowerer.emit(expr, { op: 'activation', rows, cols, x, kind: found.kind }, [], expr.shape, order);
  },
};

function gelu(c: Parameters<Operator>[0]): Expr {
  return c.b.scalarOp(c.text('approximate', 'none') === 'tanh' ? 'geluTanh' : 'gelu', c.input(0));
}

/** min(max(α·x + β, 0), 1). */
function hardSigmoid(c: Parameters<Operator>[0], alpha: number, beta: number): Expr {
  const line = c.b.add(c.b.mul(c.input(0), c.b.scalar(alpha)), c.b.scalar(beta));
  return c.b.extremum('min', c.b.extremum('max', line, c.b.scalar(0)), c.b.scalar(1));
}

function timesSigmoid(c: Parameters<Operator>[0], alpha: number): Expr {
  const x = c.input(0);
  return c.b.mul(x, c.b.scalarOp('sigmoid', c.b.mul(x, c.b.scalar(alpha))));
}

/**
 * Dense where the kinds differ (GELU and its tanh form are 0.0004 apart), and far out, where others (ReLU6) are
 * bounded.
 */
const GRID = Float64Array.from([...Array.from({ length: 121 }, (_, i) => (i - 60) / 10), -100, -30, -10, 10, 30, 100]);

/** Far below what tells the kinds apart, far above what constants rounded to float16 (√2, 1.702) cause. */
const TOLERANCE = 1e-4;

/** No way of writing an activation takes more steps. */
const MAX_STEPS = 24;

/** The activation that `expr` computes from some tensor below it, the nearest that fits. */
function recognise(expr: Expr): { x: Expr; kind: ActivationKind } | null {
  const region = elementwiseRegion(expr);
  if (!region.some((step) => isNonlinear(step))) return null;
  for (const x of region.slice(1)) {
    const values = evaluate(expr, x);
    if (!values) continue;
    for (const kind of ACTIVATION_KINDS)
      if (GRID.every((at, i) => Math.abs(values[i] - activations[kind].apply(at)) <= TOLERANCE * (1 + Math.abs(at))))
        return { x, kind };
  }
  return null;
}

const isNonlinear = (expr: Expr): boolean =>
  isScalarOp(expr.op) || isOperation(expr, 'max') || isOperation(expr, 'min');

const isElementwise = (expr: Expr): boolean =>
  isNonlinear(expr) || isOperation(expr, 'add') || isOperation(expr, 'mul');

/** `expr` and what it is made from by elementwise steps, breadth first, with the tensors these start from. */
function elementwiseRegion(expr: Expr): Expr[] {
  const region: Expr[] = [expr];
  for (let i = 0; i < region.length && region.length < MAX_STEPS; i++) {
    const step = region[i];
    if (!isElementwise(step) || !('inputs' in step)) continue;
    for (const input of step.inputs) if (!isConstant(input) && !region.includes(input)) region.push(input);
  }
  return region;
}

/** `expr` as a function of `x` on the grid, or null where it depends on other tensors too. */
function evaluate(expr: Expr, x: Expr): Float64Array | null {
  const memo = new Map<Expr, Float64Array | null>([[x, GRID]]);
  const at = (e: Expr): Float64Array | null => {
    let values = memo.get(e);
    if (values === undefined) {
      values = compute(e);
      memo.set(e, values);
    }
    return values;
  };
  const compute = (e: Expr): Float64Array | null => {
    if (isConstant(e)) {
      const value = scalarValue(e);
      return value === null ? null : GRID.map(() => value);
    }
    if (!isElementwise(e) || !('inputs' in e)) return null;
    const operands = e.inputs.map(at);
    if (operands.some((operand) => operand === null)) return null;
    const [a, b] = operands as Float64Array[];
    if (isScalarOp(e.op)) return a.map(scalarFunctions[e.op]);
    switch (e.op) {
      case 'add':
        return a.map((v, i) => v + b[i]);
      case 'mul':
        return a.map((v, i) => v * b[i]);
      case 'max':
        return a.map((v, i) => Math.max(v, b[i]));
      default:
        return a.map((v, i) => Math.min(v, b[i]));
    }
  };
  return at(expr);
}
