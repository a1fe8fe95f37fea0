/** What a program's output is: scores of classes, or features that classify nothing. */
import { operandsOf } from './operands.js';
import type { Op, Program } from './types.js';

export interface OutputShape {
  /** 1 for one vector; more for a map of tokens. */
  readonly tokens: number;
  /** Numbers a token. */
  readonly values: number;
  /** How many classes the numbers are scores of; 0 where they are features. */
  readonly classes: number;
}

export function outputShape({ ops, output }: Program): OutputShape {
  const { rows: tokens, cols: values } = ops[output - 1];
  return { tokens, values, classes: tokens > 1 || isNormalized(ops, output) ? 0 : values };
}

/**
 * Whether a value comes from a norm, with moves and means alone behind it: a classifier ends in a linear layer. Found
 * value by value: a file may have tens of thousands of ops in a row.
 */
function isNormalized(ops: readonly Op[], id: number): boolean {
  const normalized = [false];
  for (const op of ops.slice(0, id)) {
    const passes = op.op === 'gather' || op.op === 'meanRows' || op.op === 'rescale';
    const isNorm = op.op === 'layerNorm' || op.op === 'paperNorm';
    normalized.push(isNorm || (passes && operandsOf(op).every((operand) => normalized[operand])));
  }
  return normalized[id];
}
