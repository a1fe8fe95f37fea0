/** The functions of all models of a comparison, by kind and op by op. */
import type { ProgramFunctionError } from '../function-errors.js';
import type { ComparedModel, ComparisonData } from './types.js';

/** What the functions of one kind come to in one model. */
export interface KindFigures {
  readonly model: string;
  /** Softmax, gelu, LayerNorm … */
  readonly title: string;
  readonly ops: number;
  /** Mean over its ops of their mean errors. */
  readonly meanError: number;
  readonly maxError: number;
  /** The op with the largest error. */
  readonly worst: string;
}

/** Softmax under one title, whichever kernels compute it. */
export const titleOf = ({ function: kind, kind: name }: ProgramFunctionError): string =>
  kind === 'softmax' ? 'softmax' : name;

/** The titles of all functions, in the order in which they first come. */
export function functionTitles({ models }: Pick<ComparisonData, 'models'>): string[] {
  return [...new Set(models.flatMap(({ functions }) => functions.map(titleOf)))];
}

/** Title by title, model by model. */
export function kindFigures(data: Pick<ComparisonData, 'models'>): KindFigures[] {
  return functionTitles(data).flatMap((title) =>
    data.models.flatMap((model) => {
      const own = model.functions.filter((one) => titleOf(one) === title);
      if (own.length === 0) return [];
      const worst = own.reduce((a, b) => (b.maxError > a.maxError ? b : a));
      const meanError = own.reduce((sum, one) => sum + one.meanError, 0) / own.length;
      return [{ model: model.name, title, ops: own.length, meanError, maxError: worst.maxError, worst: worst.name }];
    }),
  );
}

/** The models that have functions: ivit's. */
export const modelsWithFunctions = ({ models }: Pick<ComparisonData, 'models'>): ComparedModel[] =>
  models.filter(({ functions }) => functions.length > 0);

/** Op by op: its error in each of `modelsWithFunctions`; undefined where a model does not have it. */
export interface OpFigures {
  readonly name: string;
  readonly title: string;
  readonly errors: readonly (ProgramFunctionError | undefined)[];
}

/** All ops that any model has, in the order of the model that has most. */
export function opFigures(data: Pick<ComparisonData, 'models'>): OpFigures[] {
  const models = modelsWithFunctions(data);
  const longest = [...models].sort((a, b) => b.functions.length - a.functions.length);
  const ops = new Map(longest.flatMap(({ functions }) => functions.map((one) => [one.name, titleOf(one)] as const)));
  const errors = models.map(({ functions }) => new Map(functions.map((one) => [one.name, one])));
  return [...ops].map(([name, title]) => ({ name, title, errors: errors.map((byName) => byName.get(name)) }));
}
