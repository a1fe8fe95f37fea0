import type { Expr } from '../expr.js';
import type { Operator } from '../operator.js';
import { ACTIVATION_KINDS, activations } from '../../graph/activations.js';
import { applyFormula } from '../../graph/formula.js';
import type { ActivationKind } from '../../graph/types.js';
import { functionsOf } from './functions.js';
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

/** The activation that `expr` computes from some tensor below it, the nearest that fits. */
function recognise(expr: Expr): { x: Expr; kind: ActivationKind } | null {
  for (const { x, formula } of functionsOf(expr)) {
    const values = GRID.map((at) => applyFormula(formula, at));
    for (const kind of ACTIVATION_KINDS)
      if (GRID.every((at, i) => Math.abs(values[i] - activations[kind].apply(at)) <= TOLERANCE * (1 + Math.abs(at))))
        return { x, kind };
  }
  return null;
}
