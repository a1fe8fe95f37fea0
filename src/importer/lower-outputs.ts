/** The outputs of a model as one value of canonical nodes. */
import { gcd } from '../graph/layout.js';
import type { ModelOutput } from '../metrics/output.js';
import { sizeOf } from './constant.js';
import type { ExprBuilder } from './expr-builder.js';
import { scalarValue, type Expr } from './expr.js';
import type { Lowerer } from './lower.js';
import { tailSteps, type ChosenOutput } from './output.js';

/** What is known of an output before its nodes are rewritten. */
export type OutputLayout = Omit<ModelOutput, 'isClasses'>;

/**
 * Lowers the outputs: one as it is, several as one gather of all, end to end. Outputs that are the same tensor, as
 * logits and their softmax are, lie there once.
 *
 * @param values the value of each tensor
 * @returns the id of the node that holds them, and where each lies in it
 */
export function lowerOutputs(
  lowerer: Lowerer,
  builder: ExprBuilder,
  taken: readonly ChosenOutput[],
  values: { readonly get: (tensor: string) => Expr; readonly opset: number },
): { id: string; outputs: OutputLayout[] } {
  const starts = new Map<Expr, number>();
  let end = 0;
  const outputs = taken.map((output): OutputLayout => {
    const expr = values.get(output.tensor);
    if (!starts.has(expr)) {
      starts.set(expr, end);
      end += sizeOf(expr.shape);
    }
    const hasBatch = expr.shape.length > 1 && expr.shape[0] === 1;
    const tensors = {
      shapeOf: (tensor: string) => values.get(tensor).shape,
      numberOf: (tensor: string) => scalarValue(values.get(tensor)),
    };
    const tail = tailSteps(output, tensors, values.opset, hasBatch);
    return { name: output.name, shape: expr.shape.slice(hasBatch ? 1 : 0), start: starts.get(expr)!, tail };
  });
  const distinct = [...starts.keys()];
  const cols = distinct.map(({ shape }) => shape.at(-1) ?? 1).reduce(gcd);
  const all = distinct.length === 1 ? distinct[0] : endToEnd(builder, distinct);
  return { id: lowerer.inOrder(lowerer.lower(all), cols, all), outputs };
}

function endToEnd(builder: ExprBuilder, parts: readonly Expr[]): Expr {
  builder.origin = null;
  return builder.concat(
    parts.map((part) => builder.reshape(part, [sizeOf(part.shape)])),
    0,
  );
}
