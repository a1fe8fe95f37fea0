/** Which of a model's outputs are taken, and what stands at their ends. */
import { InputError } from '../errors.js';
import type { OnnxGraph, OnnxNode, OnnxValueInfo } from '../onnx/index.js';
import type { Comparison, ModelOutput, TailStep } from '../metrics/output.js';

/** An output that is taken. */
export interface ChosenOutput {
  /** Its name in the file. */
  readonly name: string;
  /** The tensor that is taken: the output, or what a choice of the best at its end reads. */
  readonly tensor: string;
  /** What is taken off its end, first thing first. */
  readonly tail: readonly TakenOff[];
}

export interface ChosenOutputs {
  readonly taken: readonly ChosenOutput[];
  /** The outputs that are not taken. */
  readonly others: readonly OnnxValueInfo[];
}

/** An operator that is taken off. */
interface TakenOff {
  readonly node: OnnxNode;
  /** For TopK: which of its two results the output is. */
  readonly isIndices: boolean;
  /** How many the output holds, where the file says it. */
  readonly count: number | null;
  /** For a comparison: the constant that its operand is compared with, and whether that stands first. */
  readonly threshold?: { readonly tensor: string; readonly isFirst: boolean };
  /** The tensors between its operand and the output, the operand first; and the moves of axes that make each next. */
  readonly path: readonly Moved[];
}

interface Moved {
  readonly tensor: string;
  /** How a transposition makes it from the one before. */
  readonly perm?: readonly number[];
}

/** Operators that only tell which scores are best: what they read is taken. */
const CHOICES = new Set(['ArgMax', 'TopK']);

/** Operators that cut scores at a threshold, and what they are called with their operands swapped. */
const CUTS: Readonly<Record<string, readonly [op: Comparison, swapped: Comparison]>> = {
  Greater: ['greater', 'less'],
  GreaterOrEqual: ['greaterOrEqual', 'lessOrEqual'],
  Less: ['less', 'greater'],
  LessOrEqual: ['lessOrEqual', 'greaterOrEqual'],
};

/** Operators that make probabilities of scores. None changes which class is the likeliest. */
const PROBABILITIES = { Softmax: 'softmax', LogSoftmax: 'logSoftmax', Sigmoid: 'sigmoid' } as const;

/** What may stand after such an operator. */
const MOVES = new Set(['Identity', 'Cast', 'Squeeze', 'Unsqueeze', 'Reshape', 'Flatten', 'Transpose']);

type Writers = ReadonlyMap<string, OnnxNode>;

const writersOf = (nodes: readonly OnnxNode[]): Writers =>
  new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));

const describe = ({ name, shape }: OnnxValueInfo): string =>
  `${JSON.stringify(name)}${shape ? ` [${shape.join(', ')}]` : ''}`;

/**
 * All outputs, or those that are asked for, in the file's order; of an ArgMax, TopK or threshold at the end what it
 * reads.
 *
 * @throws {InputError} where the graph has no output, or none of a name that is asked for
 */
export function chooseOutputs({ outputs, nodes, initializers }: OnnxGraph, names?: readonly string[]): ChosenOutputs {
  if (outputs.length === 0)
    throw new InputError('the model declares no output: export it again with the logits as its output');
  const missing = names?.find((name) => outputs.every((output) => output.name !== name));
  if (missing !== undefined)
    throw new InputError(
      `the model has no output ${JSON.stringify(missing)}; it has ${outputs.map(describe).join(', ')}`,
    );
  const isTaken = ({ name }: OnnxValueInfo): boolean => !names?.length || names.includes(name);
  const writers = writersOf(nodes);
  const isConstant = (name: string): boolean => initializers.has(name) || writers.get(name)?.opType === 'Constant';
  return {
    taken: outputs.filter(isTaken).map((info) => withoutChoice(info, writers, isConstant)),
    others: outputs.filter((info) => !isTaken(info)),
  };
}

function withoutChoice(
  { name, shape }: OnnxValueInfo,
  writers: Writers,
  isConstant: (name: string) => boolean,
): ChosenOutput {
  let tensor = name;
  for (let node = writers.get(tensor); node?.domain === ''; node = writers.get(tensor)) {
    if (CHOICES.has(node.opType) && !isSmallest(node)) {
      const [operand] = node.inputs;
      const last = shape?.at(-1);
      const count = node.opType === 'TopK' && typeof last === 'number' ? last : null;
      const isIndices = node.outputs[1] === tensor;
      return { name, tensor: operand, tail: [{ node, isIndices, count, path: [{ tensor: operand }] }] };
    }
    const constant = node.opType in CUTS ? node.inputs.findIndex(isConstant) : -1;
    if (constant >= 0) {
      const operand = node.inputs[1 - constant];
      const threshold = { tensor: node.inputs[constant], isFirst: constant === 0 };
      return {
        name,
        tensor: operand,
        tail: [{ node, isIndices: false, count: null, threshold, path: [{ tensor: operand }] }],
      };
    }
    if (!MOVES.has(node.opType)) break;
    [tensor] = node.inputs;
  }
  return { name, tensor: name, tail: [] };
}

const isSmallest = (node: OnnxNode): boolean => intAttribute(node, 'largest', 1) === 0;

function intAttribute(node: OnnxNode, name: string, fallback: number): number {
  const value = node.attributes.get(name)?.value;
  return value?.type === 'int' ? value.number : fallback;
}

/**
 * Takes off what makes probabilities at the ends of outputs, where nothing else reads them: such an operator hands
 * through what it reads.
 *
 * @param nodes those that the outputs depend on
 */
export function withoutProbabilities(
  { taken, others }: ChosenOutputs,
  nodes: readonly OnnxNode[],
): { output: ChosenOutputs; nodes: OnnxNode[] } {
  const writers = writersOf(nodes);
  const readers = new Map<string, number>();
  const count = (name: string): void => void readers.set(name, (readers.get(name) ?? 0) + 1);
  for (const node of nodes) for (const name of node.inputs) count(name);
  for (const name of new Set(taken.map(({ tensor }) => tensor))) count(name);
  const removed = new Set<OnnxNode>();
  const left = taken.map((output): ChosenOutput => {
    const step = probabilityStep(output, writers, (name) => readers.get(name) === 1);
    if (step === null) return output;
    removed.add(step.node);
    return { ...output, tail: [step, ...output.tail] };
  });
  const identity = (node: OnnxNode): OnnxNode => ({ ...node, opType: 'Identity', attributes: new Map() });
  return {
    output: { taken: left, others },
    nodes: nodes.map((node) => (removed.has(node) ? identity(node) : node)),
  };
}

function probabilityStep(
  { tensor }: ChosenOutput,
  writers: Writers,
  isReadOnce: (name: string) => boolean,
): TakenOff | null {
  const path: Moved[] = [];
  let name = tensor;
  for (let node = writers.get(name); node?.domain === ''; node = writers.get(name)) {
    if (!isReadOnce(name)) return null;
    const perm = node.attributes.get('perm')?.value;
    path.unshift({ tensor: name, ...(perm?.type === 'ints' && { perm: perm.numbers }) });
    [name] = node.inputs;
    if (node.opType in PROBABILITIES)
      return {
        node,
        isIndices: false,
        count: null,
        path: [{ tensor: name }, { tensor: path[0].tensor }, ...path.slice(1)],
      };
    // A transposition without a permutation turns all axes around; no exporter writes one behind a softmax.
    if (!MOVES.has(node.opType) || (node.opType === 'Transpose' && perm?.type !== 'ints')) return null;
  }
  return null;
}

type ShapeOf = (tensor: string) => readonly number[];

/** What is known of the tensors at the ends of outputs. */
export interface TailTensors {
  /** With the batch in front. */
  readonly shapeOf: ShapeOf;
  /** The one number that a constant holds; null: it holds several. */
  readonly numberOf: (tensor: string) => number | null;
}

/** The constants that the ends of outputs read. */
export const thresholdsOf = ({ tail }: ChosenOutput): string[] =>
  tail.flatMap(({ threshold }) => threshold?.tensor ?? []);

/**
 * The tail of an output as steps on its own axes.
 *
 * @param hasBatch whether the output's own shape is without it
 * @throws {InputError} where the axis of a step is none of the output's
 */
export function tailSteps(
  { name, tail }: ChosenOutput,
  { shapeOf, numberOf }: TailTensors,
  opset: number,
  hasBatch: boolean,
): TailStep[] {
  return tail.map((step): TailStep => {
    const op = step.node.opType;
    if (op === 'Sigmoid') return { op: 'sigmoid' };
    if (step.threshold !== undefined) {
      const than = numberOf(step.threshold.tensor);
      if (than === null || !Number.isFinite(than))
        throw new InputError(`output ${JSON.stringify(name)} has no single threshold: export the scores before it`);
      return { op: CUTS[op][step.threshold.isFirst ? 1 : 0], than: String(than) };
    }
    const axis = Math.max(0, axisOf(name, step, shapeOf, opset) - (hasBatch ? 1 : 0));
    if (op === 'ArgMax') return { op: 'argMax', axis };
    if (op === 'TopK') return { op: step.isIndices ? 'topIndices' : 'topValues', axis, count: step.count };
    return { op: PROBABILITIES[op as 'Softmax' | 'LogSoftmax'], axis };
  });
}

/** The step's axis, carried through the moves behind it. */
function axisOf(name: string, { node, path }: TakenOff, shapeOf: ShapeOf, opset: number): number {
  const before = node.opType === 'ArgMax' ? 0 : node.opType === 'TopK' || opset >= 13 ? -1 : 1;
  let shape = shapeOf(path[0].tensor);
  const given = intAttribute(node, 'axis', before);
  let axis = given < 0 ? given + shape.length : given;
  for (const { tensor, perm } of path.slice(1)) {
    const next = shapeOf(tensor);
    axis = perm ? perm.indexOf(axis) : sameAxis(shape, next, axis);
    if (axis < 0)
      throw new InputError(
        `output ${JSON.stringify(name)} takes the axis of the ${node.opType} at its end apart: export it without`,
      );
    shape = next;
  }
  return axis;
}

/** Where an axis lies after a reshape: as long as before, with as many elements in front; −1: nowhere. */
function sameAxis(shape: readonly number[], next: readonly number[], axis: number): number {
  const inFront = (dims: readonly number[], end: number): number => dims.slice(0, end).reduce((n, dim) => n * dim, 1);
  if (shape.length === next.length && next[axis] === shape[axis]) return axis;
  return next.findIndex((dim, at) => dim === shape[axis] && inFront(next, at) === inFront(shape, axis));
}

/** A line for each thing that the user might miss in the outputs. */
export function outputNotices({ taken, others }: ChosenOutputs, outputs: readonly ModelOutput[]): string[] {
  const several = taken.length > 1;
  const notices = taken.flatMap(({ name, tail }) =>
    [...tail]
      .reverse()
      .map(
        ({ node }) =>
          `The ${node.opType} at the end${several ? ` of ${JSON.stringify(name)}` : ''} is taken off: the integer ` +
          'model gives the numbers that it reads, and it is done again for display.',
      ),
  );
  if (several)
    notices.push(
      `All of these are outputs of the integer model: ${outputs.map(named).join(', ')}. --output takes some alone.`,
    );
  if (others.length > 0)
    notices.push(
      `Taken: ${taken.map(({ name }) => JSON.stringify(name)).join(', ')}; ` +
        `not taken: ${others.map(describe).join(', ')}.`,
    );
  for (const output of several ? [] : outputs)
    if (!output.isClasses)
      notices.push(`Output ${named(output)} is no vector of classes: its numbers are given as they are.`);
  return notices;
}

const named = ({ name, shape }: ModelOutput): string => `${JSON.stringify(name)} [${shape.join(', ')}]`;
