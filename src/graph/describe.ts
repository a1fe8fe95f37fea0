import { operandsOf } from './nodes.js';
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
  readonly outputName: string;
  readonly layers: readonly LayerDescription[];
  readonly parameters: number;
  readonly macs: number;
  /** Channels of the patch embedding. */
  readonly embedDim: number;
  /** Number of attentions. */
  readonly depth: number;
  /** Heads of each attention, in order. */
  readonly heads: readonly number[];
  readonly patch: readonly [number, number];
  /** Tokens per window for windowed attention, else all tokens. */
  readonly tokens: number;
  readonly windows: number;
  /** Number of the output's values. */
  readonly classes: number;
  readonly folded: readonly string[];
}

/** What `ivit inspect` shows of a canonical graph. */
export function describeGraph(graph: Graph): GraphDescription {
  const layers = graph.nodes.map(describeNode);
  const attentions = graph.nodes.filter((node) => node.op === 'attention');
  const patch = graph.nodes.find((node) => node.op === 'patchEmbed');
  const output = graph.nodes.find((node) => node.id === graph.output)!;
  return {
    family: graph.family,
    input: graph.input,
    outputName: graph.outputName,
    layers,
    parameters: layers.reduce((sum, layer) => sum + layer.parameters, 0),
    macs: layers.reduce((sum, layer) => sum + layer.macs, 0),
    embedDim: patch?.cols ?? 0,
    depth: attentions.length,
    heads: attentions.map((node) => node.heads),
    patch: patch ? [patch.kernel[0], patch.kernel[1]] : [0, 0],
    tokens: attentions[0]?.keys ?? 0,
    windows: attentions[0]?.batch ?? 0,
    classes: output.rows * output.cols,
    folded: graph.folded,
  };
}

function describeNode(node: GraphNode): LayerDescription {
  const [detail, parameters, macs] = details(node);
  return { name: node.name, op: node.op, detail, shape: [node.rows, node.cols], parameters, macs };
}

function details(node: GraphNode): [detail: string, parameters: number, macs: number] {
  switch (node.op) {
    case 'patchEmbed':
      return [node.kernel.join('×'), node.weight.length + node.bias.length, node.rows * node.weight.length];
    case 'linear':
      return [
        `${node.inFeatures} → ${node.cols}`,
        node.weight.length + node.bias.length,
        node.rows * node.weight.length,
      ];
    case 'layerNorm':
      return [`ε ${Number(node.epsilon.toPrecision(3))}`, node.gamma.length + node.beta.length, 0];
    case 'l2Norm':
      return ['', 0, 0];
    case 'activation':
      return [node.kind, 0, 0];
    case 'attention': {
      const windows = node.batch > 1 ? `, ${node.batch} windows` : '';
      const macs = node.batch * node.heads * node.queries * node.keys * (node.dim + node.valueDim);
      // Position biases and masks lie expanded here: they would count many times what the model has.
      return [`${node.heads} heads of ${node.dim}${windows}`, 0, macs];
    }
    case 'affine':
      return ['', node.scale.length + node.shift.length, 0];
    case 'addConst':
    case 'constant':
      return ['', node.value.length, 0];
    case 'gather':
      return [`pieces of ${node.piece} from ${operandsOf(node).length}`, 0, 0];
    case 'meanRows':
      return [`of ${node.group}`, 0, 0];
    case 'add':
      return ['', 0, 0];
  }
}
