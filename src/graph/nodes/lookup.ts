import { applyFormula, describeFormula, writeFormula, type Formula } from '../formula.js';
import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/** f(x) of every element, f being any function of one number: sigmoid, tanh, ELU, exp, clips. */
export interface LookupNode extends NodeBase {
  readonly op: 'lookup';
  readonly x: string;
  readonly formula: Formula;
}

/** Longest formula in a report. */
const DETAIL_LENGTH = 40;

export const lookup: NodeDefinition<LookupNode> = {
  ...readsX,
  evaluate: ({ x, formula }, read) => read(x).map((value) => applyFormula(formula, value)),
  toOnnx: ({ id, rows, cols, x, formula }, writer) => writeFormula(formula, writer.as(x, rows, cols), id, writer),
  describe({ formula }) {
    const text = describeFormula(formula);
    return { detail: text.length > DETAIL_LENGTH ? `${text.slice(0, DETAIL_LENGTH - 1)}…` : text };
  },
};
