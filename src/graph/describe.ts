import { headsOfBlocks } from './blocks.js';
import { definitionOf } from './nodes/index.js';
import { classCount } from './output.js';
import type { Graph, GraphNode } from './types.js';

export interface LayerDescription {
  readonly name: string;
  readonly op: GraphNode['op'];
  /** The activation's kind, a kernel's size and the like; '' where there is nothing to add. */
  readonly detail: string;
  /** [rows, cols] of the value it writes. */
  readonly shape: readonly [number, number];
  readonly parameters: number;
  /** Multiply-accumulates for one image: of products alone, as papers count them. */
  readonly macs: number;
}

export interface GraphDescription {
  readonly family: string;
  readonly input: Graph['input'];
  /** The model's outputs, in the file's order. */
  readonly outputs: Graph['outputs'];
  readonly layers: readonly LayerDescription[];
  readonly parameters: number;
  readonly macs: number;
  /** Channels of the patch embedding. */
  readonly embedDim: number;
  /** Number of blocks with attention. */
  readonly depth: number;
  /** Heads of each of them, in order; 0 where they cannot be told. */
  readonly heads: readonly number[];
  readonly patch: readonly [number, number];
  /** Tokens per window for windowed attention, else all tokens. */
  readonly tokens: number;
  readonly windows: number;
  /** 0 where the output's values are features. */
  readonly classes: number;
  readonly folded: readonly string[];
}

/** How many nodes of each kind a graph has, most first; activations by their function. */
export function countKinds({ nodes }: Pick<Graph, 'nodes'>): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const node of nodes) {
    const kind = node.op === 'activation' ? node.kind : node.op;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}

/** What `ivit inspect` shows of a canonical graph. */
export function describeGraph(graph: Graph): GraphDescription {
  const layers = graph.nodes.map(describeNode);
  const attentions = graph.nodes.filter((node) => node.op === 'attention');
  const heads = headsOfBlocks(graph);
  const patch = graph.nodes.find((node) => node.op === 'patchEmbed');
  return {
    family: graph.family,
    input: graph.input,
    outputs: graph.outputs,
    layers,
    parameters: layers.reduce((sum, layer) => sum + layer.parameters, 0),
    macs: layers.reduce((sum, layer) => sum + layer.macs, 0),
    embedDim: patch?.cols ?? 0,
    depth: heads.length,
    heads,
    patch: patch ? [patch.kernel[0], patch.kernel[1]] : [0, 0],
    tokens: attentions[0]?.keys ?? 0,
    windows: attentions[0]?.batch ?? 0,
    classes: classCount(graph),
    folded: graph.folded,
  };
}

/** Multiply-adds of one image, of all products. */
export const macsOfGraph = (graph: Graph): number =>
  graph.nodes.reduce((sum, node) => sum + describeNode(node).macs, 0);

function describeNode(node: GraphNode): LayerDescription {
  const { detail = '', parameters = 0, macs = 0 } = definitionOf(node).describe?.(node) ?? {};
  return { name: node.name, op: node.op, detail, shape: [node.rows, node.cols], parameters, macs };
}
