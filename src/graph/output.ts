/** What a graph's output is: scores of classes, or features that classify nothing. */
import { definitionOf } from './nodes/index.js';
import type { Graph, GraphNode } from './types.js';

/** What exporters call features, whatever computes them. */
const FEATURES = /embed|feature|hidden|pooler/i;

/** How many classes the output's numbers are scores of; 0 where they are features. */
export function classCount({ nodes, output, outputName }: Pick<Graph, 'nodes' | 'output' | 'outputName'>): number {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const { rows, cols } = byId.get(output)!;
  return rows > 1 || FEATURES.test(outputName) || isNormalized(byId, output) ? 0 : cols;
}

/** Whether a value comes from a norm, with moves and means alone behind it: a classifier ends in a linear layer. */
function isNormalized(nodes: ReadonlyMap<string, GraphNode>, id: string): boolean {
  const node = nodes.get(id)!;
  if (node.op === 'layerNorm' || node.op === 'l2Norm') return true;
  const passes = node.op === 'gather' || node.op === 'meanRows' || node.op === 'affine';
  return (
    passes &&
    definitionOf(node)
      .operands(node)
      .every((operand) => isNormalized(nodes, operand))
  );
}
