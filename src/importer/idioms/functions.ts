/** Elementwise steps from one tensor as a function of one number. */
import { isBinaryOp, isComparison, type Formula } from '../../graph/formula.js';
import { isScalarOp, isStep } from '../../graph/scalar.js';
import { isConstant, isOperation, scalarValue, type Expr } from '../expr.js';

/** No way of writing an activation takes more steps. */
const MAX_STEPS = 24;

/** The tensors that `expr` is a function of, element by element, the nearest first; none where it is linear in them. */
export function functionsOf(expr: Expr): { readonly x: Expr; readonly formula: Formula }[] {
  const region = elementwiseRegion(expr);
  if (!region.some(isNonlinear)) return [];
  return region.slice(1).flatMap((x) => {
    const formula = formulaOf(expr, x);
    return formula !== null && isCurved(formula) && !hasStepsAlone(formula) ? [{ x, formula }] : [];
  });
}

const isNonlinear = (expr: Expr): boolean =>
  isScalarOp(expr.op) || isChoice(expr.op) || isOperation(expr, 'max') || isOperation(expr, 'min');

const isChoice = (op: string): boolean => op === 'where' || isComparison(op);

/** `expr` and what it is made from by elementwise steps, breadth first, with the tensors these start from. */
function elementwiseRegion(expr: Expr): Expr[] {
  const region: Expr[] = [expr];
  for (let i = 0; i < region.length && region.length < MAX_STEPS; i++) {
    const step = region[i];
    if (!('inputs' in step) || !isElementwise(step.op)) continue;
    for (const input of step.inputs) if (!isConstant(input) && !region.includes(input)) region.push(input);
  }
  return region;
}

const isElementwise = (op: string): boolean => isScalarOp(op) || isBinaryOp(op) || op === 'where';

/** `expr` as a function of `x`, or null where it depends on other tensors too, or on more than single constants. */
function formulaOf(expr: Expr, x: Expr): Formula | null {
  const memo = new Map<Expr, Formula | null>([[x, { op: 'x' }]]);
  const at = (e: Expr): Formula | null => {
    let formula = memo.get(e);
    if (formula === undefined) {
      formula = step(e);
      memo.set(e, formula);
    }
    return formula;
  };
  const step = (e: Expr): Formula | null => {
    if (isConstant(e)) {
      const value = scalarValue(e);
      return value === null ? null : { op: 'constant', value };
    }
    if (!('inputs' in e)) return null;
    const inputs = e.inputs.map(at);
    if (inputs.some((input) => input === null)) return null;
    const [a, b, c] = inputs as Formula[];
    if (e.op === 'where') return { op: 'where', inputs: [a, b, c] };
    if (isScalarOp(e.op)) return { op: e.op, inputs: [a] };
    return isBinaryOp(e.op) ? { op: e.op, inputs: [a, b] } : null;
  };
  return at(expr);
}

/**
 * Whether a formula gives the same between its steps, as a mask does that is cut at a threshold: one integer beside the
 * step would change all that follows.
 */
function hasStepsAlone(formula: Formula): boolean {
  if (formula.op === 'x') return false;
  if (formula.op === 'constant' || isComparison(formula.op) || isStep(formula.op)) return true;
  const choices: readonly Formula[] = formula.op === 'where' ? formula.inputs.slice(1) : formula.inputs;
  return choices.every(hasStepsAlone);
}

/** Whether a formula has a step that is not linear. */
function isCurved(formula: Formula): boolean {
  if (!('inputs' in formula)) return false;
  const straight = formula.op === 'add' || formula.op === 'mul';
  return !straight || formula.inputs.some(isCurved);
}
