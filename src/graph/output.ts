/** What a graph's outputs are: scores of classes, or numbers that classify nothing. */
import { classifierOf, outputSize, type ModelOutput } from '../metrics/output.js';
import { applyFormula, type Formula } from './formula.js';
import { definitionOf } from './nodes/index.js';
import type { GatherNode, Graph, GraphNode } from './types.js';

/** What exporters call features and measurements, whatever computes them. */
const NO_CLASSES = /embed|feature|hidden|pooler|box|landmark|keypoint|(^|_)(age|pose|points?|coords?)(_|$)/i;

/** How many classes the graph tells apart; 0 where its outputs are no scores of classes. */
export function classCount({ outputs }: Pick<Graph, 'outputs'>): number {
  const classifier = classifierOf(outputs);
  return classifier === null ? 0 : outputSize(classifier);
}

/** Whether an output's numbers are scores of classes: one vector, that is no features by its name or by its making. */
export function isClassVector(
  { nodes, output }: Pick<Graph, 'nodes' | 'output'>,
  { name, shape, start, tail }: Omit<ModelOutput, 'isClasses'>,
): boolean {
  const size = outputSize({ shape });
  if (shape.filter((dim) => dim > 1).length > 1) return false;
  const [reading] = tail;
  if (reading !== undefined && reading.op !== 'sigmoid' && !('than' in reading)) return size > 1;
  if (NO_CLASSES.test(name) || (size < 2 && reading === undefined)) return false;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  return !isNormalized(byId, output, [start, start + size]);
}

type Range = readonly [from: number, to: number];

/**
 * Whether a value comes from a norm or a tanh, with nothing but moves and means behind it: a classifier ends in a
 * linear layer.
 *
 * @param range the elements that are asked of; null: all
 */
function isNormalized(nodes: ReadonlyMap<string, GraphNode>, id: string, range: Range | null): boolean {
  const node = nodes.get(id)!;
  if (node.op === 'layerNorm' || node.op === 'l2Norm') return true;
  if (node.op === 'lookup') return isTanh(node.formula);
  if (node.op === 'gather') return sourcesOf(node, range, nodes).every((source) => isNormalized(nodes, source, null));
  const passes = node.op === 'meanRows' || node.op === 'affine';
  return (
    passes &&
    definitionOf(node)
      .operands(node)
      .every((operand) => isNormalized(nodes, operand, null))
  );
}

/** Poolers end so (ViT's, BERT's). */
const isTanh = (formula: Formula): boolean =>
  [-20, -1, 0, 1, 20].every((x) => Math.abs(applyFormula(formula, x) - Math.tanh(x)) < 1e-6);

/** The sources of which some elements of a gather are taken. */
function sourcesOf(
  { sources, piece, index }: GatherNode,
  range: Range | null,
  nodes: ReadonlyMap<string, GraphNode>,
): string[] {
  const [from, to] = range ?? [0, index.length * piece];
  const read = new Set(index.slice(Math.floor(from / piece), Math.ceil(to / piece)));
  let start = 0;
  return sources.filter((id) => {
    const { rows, cols } = nodes.get(id)!;
    const first = start;
    start += (rows * cols) / piece;
    for (const place of read) if (place >= first && place < start) return true;
    return false;
  });
}
