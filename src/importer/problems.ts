import { InputError } from '../errors.js';
import type { OnnxNode } from '../onnx/index.js';

/** One thing in a model that cannot be brought into the canonical graph. */
export interface Problem {
  /** The ONNX node's name, or its first output's where it has none. */
  readonly node: string;
  /** Its operator, with the domain unless it is the standard one. */
  readonly op: string;
  readonly reason: string;
  readonly remedy: string;
}

/** The model was read, but holds something that is no part of a Vision Transformer as known here. */
export class UnsupportedModelError extends InputError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const [first] = problems;
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    super(`node ${JSON.stringify(first.node)} (${first.op}): ${first.reason}; ${first.remedy}${more}`, {
      code: 'UNSUPPORTED_ONNX',
    });
    this.problems = problems;
  }
}

/** Thrown inside of the importer where one node cannot be handled; becomes a `Problem` naming that node. */
export class Unsupported extends Error {
  readonly remedy: string;

  constructor(reason: string, remedy: string) {
    super(reason);
    this.remedy = remedy;
  }
}

/** @param why what tells */
export const trainingMode = (why: string): Unsupported =>
  new Unsupported(`the model was exported in training mode: ${why}`, 'call model.eval() and export it again');

export const operatorName = (node: OnnxNode): string => (node.domain ? `${node.domain}::${node.opType}` : node.opType);

export const nodeName = (node: OnnxNode): string => node.name || node.outputs[0] || node.opType;

export const problemAt = (node: OnnxNode | null, reason: string, remedy: string): Problem => ({
  node: node ? nodeName(node) : 'input',
  op: node ? operatorName(node) : 'input',
  reason,
  remedy,
});
