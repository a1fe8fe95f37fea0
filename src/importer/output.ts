/** Which of a model's outputs is taken, and what stands between it and the logits. */
import { InputError } from '../errors.js';
import type { OnnxGraph, OnnxNode, OnnxValueInfo } from '../onnx/index.js';

export interface ChosenOutput {
  /** The output's name in the file. */
  readonly name: string;
  /** The tensor that is taken: the output, or what the operators at its end read. */
  readonly tensor: string;
  /** Operators at the end that are taken off, the last first. */
  readonly tail: readonly string[];
  /** The outputs that are not taken. */
  readonly others: readonly OnnxValueInfo[];
}

/** What an export may end with that is a reading of the logits. None changes which class is the likeliest. */
const TAIL = new Set(['ArgMax', 'TopK', 'LogSoftmax', 'Softmax', 'Sigmoid']);

/** What may stand after such an operator. */
const AFTER_TAIL = new Set(['Identity', 'Cast', 'Squeeze', 'Unsqueeze', 'Reshape', 'Flatten']);

/**
 * The output called logits, else the first; without a softmax, argmax or the like at its end.
 * @throws {InputError} where the graph has no output
 */
export function chooseOutput({ outputs, nodes }: OnnxGraph): ChosenOutput {
  if (outputs.length === 0)
    throw new InputError('the model declares no output: export it again with the logits as its output');
  const output = outputs.find(({ name }) => /^logits$/i.test(name)) ?? outputs.find(isLogits) ?? outputs[0];
  const writers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const { tensor, tail } = withoutTail(output.name, writers);
  return { name: output.name, tensor, tail, others: outputs.filter((other) => other !== output) };
}

const isLogits = ({ name }: OnnxValueInfo): boolean => /(^|[^a-z])(class|cls)?_?logits$/i.test(name);

function withoutTail(output: string, writers: ReadonlyMap<string, OnnxNode>): { tensor: string; tail: string[] } {
  const tail: string[] = [];
  let tensor = output;
  let after = output;
  for (let node = writers.get(after); node; node = writers.get(after)) {
    const isTail = node.domain === '' && TAIL.has(node.opType);
    if (!isTail && !(node.domain === '' && AFTER_TAIL.has(node.opType))) break;
    [after] = node.inputs;
    if (!isTail) continue;
    tail.push(node.opType);
    tensor = after;
  }
  return { tensor, tail };
}

/** A line for each thing that the user might miss in the outputs. */
export function outputNotices({ name, tail, others }: ChosenOutput): string[] {
  const notices = tail.map(
    (op) => `The ${op} at the end is taken off: the integer model gives the logits that it reads, one for each class.`,
  );
  const describe = (info: OnnxValueInfo): string =>
    `${JSON.stringify(info.name)}${info.shape ? ` [${info.shape.join(', ')}]` : ''}`;
  if (others.length > 0)
    notices.push(`Output ${JSON.stringify(name)} is taken; not taken: ${others.map(describe).join(', ')}.`);
  return notices;
}
