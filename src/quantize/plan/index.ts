import { consumersOf, neededRows } from '../../graph/liveness.js';
import { operandsOf } from '../../graph/nodes/index.js';
import type { AttentionNode, Graph, GraphNode } from '../../graph/types.js';
import { builderOf } from '../build/index.js';
import type { InputScheme } from '../schemes/input-scheme.js';
import type { Demand, Plan } from './types.js';

export type { Plan } from './types.js';

/** Chooses each value's form and finds what can be fused, by one walk from the output backwards. */
export function planGraph(graph: Graph, inputs: Pick<InputScheme, 'survivesGather'>): Plan {
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const consumers = consumersOf(graph.nodes);

  const form = new Map<string, Demand>();
  const attentions = new Map<string, AttentionNode[]>();
  for (const node of [...graph.nodes].reverse()) {
    const demands = new Set<Demand>(consumers.get(node.id)!.map((user) => builderOf(user).demand(user, node, form)));
    if (node.id === graph.output) demands.add('wide');
    const wanted = demands.size === 1 ? [...demands][0] : 'wide';
    form.set(node.id, wanted === 'wide' ? 'wide' : builderOf(node).form(node, wanted, { nodes, consumers, inputs }));
  }
  for (const node of graph.nodes) {
    if (node.op !== 'attention') continue;
    for (const id of operandsOf(node)) attentions.set(id, [...(attentions.get(id) ?? []), node]);
  }
  return {
    nodes,
    consumers,
    form,
    attentions,
    needed: neededRows(graph),
    residual: residuals(graph, consumers),
  };
}

/** A linear layer that feeds one add, whose other operand is there before it. */
function residuals(graph: Graph, consumers: ReadonlyMap<string, readonly GraphNode[]>): Plan['residual'] {
  const order = new Map(graph.nodes.map((node, i) => [node.id, i]));
  const found = new Map<string, { add: string; other: string }>();
  for (const node of graph.nodes) {
    if (node.op !== 'add' || node.a === node.b) continue;
    const candidates = [
      [node.a, node.b],
      [node.b, node.a],
    ] as const;
    for (const [linear, other] of candidates) {
      const position = order.get(linear)!;
      const source = graph.nodes[position];
      const fits =
        source.op === 'linear' && source.rows === node.rows && source.cols === node.cols && linear !== graph.output;
      if (fits && consumers.get(linear)!.length === 1 && order.get(other)! < position) {
        found.set(linear, { add: node.id, other });
        break;
      }
    }
  }
  return found;
}
