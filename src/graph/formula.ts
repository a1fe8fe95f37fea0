import { scalarFunctions, type ScalarOp } from './scalar.js';
import type { OnnxWriter } from './onnx-writer.js';

/** A function of one number, as the steps that an exporter wrote. */
export type Formula =
  | { readonly op: 'x' }
  | { readonly op: 'constant'; readonly value: number }
  | { readonly op: ScalarOp; readonly inputs: readonly [Formula] }
  | { readonly op: BinaryOp; readonly inputs: readonly [Formula, Formula] }
  /** a where the condition is not 0, else b. */
  | { readonly op: 'where'; readonly inputs: readonly [condition: Formula, a: Formula, b: Formula] };

export type BinaryOp = keyof typeof binaryFunctions;

const binaryFunctions = {
  add: (a: number, b: number) => a + b,
  mul: (a: number, b: number) => a * b,
  max: (a: number, b: number) => Math.max(a, b),
  min: (a: number, b: number) => Math.min(a, b),
  // Truth is 1, as exporters cast it.
  greater: (a: number, b: number) => Number(a > b),
  greaterOrEqual: (a: number, b: number) => Number(a >= b),
  equal: (a: number, b: number) => Number(a === b),
};

const BINARY_OPERATORS: Readonly<Record<BinaryOp, string>> = {
  add: 'Add',
  mul: 'Mul',
  max: 'Max',
  min: 'Min',
  greater: 'Greater',
  greaterOrEqual: 'GreaterOrEqual',
  equal: 'Equal',
};

const FLOAT = 1;
const BOOL = 9;

const SCALAR_OPERATORS: Readonly<Partial<Record<ScalarOp, string>>> = {
  reciprocal: 'Reciprocal',
  sqrt: 'Sqrt',
  exp: 'Exp',
  log: 'Log',
  abs: 'Abs',
  tanh: 'Tanh',
  sinh: 'Sinh',
  cosh: 'Cosh',
  sin: 'Sin',
  cos: 'Cos',
  tan: 'Tan',
  atan: 'Atan',
  asin: 'Asin',
  acos: 'Acos',
  asinh: 'Asinh',
  acosh: 'Acosh',
  atanh: 'Atanh',
  sign: 'Sign',
  floor: 'Floor',
  ceil: 'Ceil',
  round: 'Round',
  erf: 'Erf',
  sigmoid: 'Sigmoid',
  relu: 'Relu',
};

export const isBinaryOp = (op: string): op is BinaryOp => Object.hasOwn(binaryFunctions, op);

/** Whether a binary function tells its operands apart, and gives 0 or 1. */
export const isComparison = (op: string): boolean => op === 'greater' || op === 'greaterOrEqual' || op === 'equal';

export const applyBinary = (op: BinaryOp, a: number, b: number): number => binaryFunctions[op](a, b);

/** f(x). */
export function applyFormula(formula: Formula, x: number): number {
  if (formula.op === 'x') return x;
  if (formula.op === 'constant') return formula.value;
  if (isBinaryOp(formula.op)) {
    const [a, b] = formula.inputs as readonly [Formula, Formula];
    return binaryFunctions[formula.op](applyFormula(a, x), applyFormula(b, x));
  }
  if (formula.op === 'where') {
    const [condition, a, b] = formula.inputs;
    return applyFormula(applyFormula(condition, x) === 0 ? b : a, x);
  }
  return scalarFunctions[formula.op](applyFormula(formula.inputs[0], x));
}

/** The steps in short, for reports: `mul(x, sigmoid(x))`. */
export function describeFormula(formula: Formula): string {
  if (formula.op === 'x') return 'x';
  if (formula.op === 'constant') return String(Number(formula.value.toPrecision(4)));
  return `${formula.op}(${formula.inputs.map(describeFormula).join(', ')})`;
}

/**
 * Writes f(x) as operators, the last of which gives the tensor `id`.
 *
 * @param x the name of a tensor
 */
export function writeFormula(formula: Formula, x: string, id: string, writer: OnnxWriter): void {
  let steps = 0;
  const write = (step: Formula, name: string): string => {
    if (step.op === 'x') return x;
    if (step.op === 'constant') return writer.scalar(step.value);
    const inputs = step.inputs.map((input) => write(input, `${id}//${steps++}`));
    if (isComparison(step.op)) {
      const truth = writer.op(BINARY_OPERATORS[step.op as BinaryOp], inputs, `${id}//${steps++}`);
      return writer.op('Cast', [truth], name, { to: FLOAT });
    }
    if (step.op === 'where') {
      const truth = writer.op('Cast', [inputs[0]], `${id}//${steps++}`, { to: BOOL });
      return writer.op('Where', [truth, inputs[1], inputs[2]], name);
    }
    if (isBinaryOp(step.op)) return writer.op(BINARY_OPERATORS[step.op], inputs, name);
    const operator = SCALAR_OPERATORS[step.op];
    if (operator === undefined) return write(spelledOut(step.op, step.inputs[0]), name);
    return writer.op(operator, inputs, name);
  };
  write(formula, id);
}

const constant = (value: number): Formula => ({ op: 'constant', value });
const product = (a: Formula, b: Formula): Formula => ({ op: 'mul', inputs: [a, b] });
const sum = (a: Formula, b: Formula): Formula => ({ op: 'add', inputs: [a, b] });

/** GELU and its tanh form, which opset 17 has no operator for. */
function spelledOut(op: ScalarOp, x: Formula): Formula {
  const half = product(x, constant(0.5));
  if (op === 'gelu') {
    const inner: Formula = { op: 'erf', inputs: [product(x, constant(Math.SQRT1_2))] };
    return product(half, sum(inner, constant(1)));
  }
  const cubic = product(product(product(x, x), x), constant(0.044715));
  const inner: Formula = { op: 'tanh', inputs: [product(sum(x, cubic), constant(Math.sqrt(2 / Math.PI)))] };
  return product(half, sum(inner, constant(1)));
}
