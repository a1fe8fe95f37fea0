import { definitionOf } from './nodes/index.js';
import { OnnxWriter } from './onnx-writer.js';
import type { Graph, GraphNode } from './types.js';

/**
 * Writes a canonical graph as a standard ONNX model (opset 17), for runtimes to execute.
 * @param extraOutputs Ids of nodes whose values become outputs too, under their ids, as float [rows, cols].
 * @returns The encoded ModelProto; its first output is the graph's own, named by its node's id.
 */
export function graphToOnnx(graph: Graph, extraOutputs: readonly string[] = []): Uint8Array {
  return partToOnnx(graph, graph.nodes, [], [...new Set([graph.output, ...extraOutputs])]);
}

/**
 * Writes some of a graph's nodes as a model of their own.
 * @param inputs Ids of nodes that are not among them but are read: inputs of the model, as float [rows, cols].
 * @param outputs Ids of nodes whose values are its outputs.
 */
export function partToOnnx(
  graph: Graph,
  nodes: readonly GraphNode[],
  inputs: readonly string[],
  outputs: readonly string[],
): Uint8Array {
  const writer = new OnnxWriter(graph);
  for (const node of nodes) definitionOf(node).toOnnx(node, writer);
  return writer.encode(
    nodes.some(({ op }) => op === 'patchEmbed'),
    inputs,
    outputs,
  );
}
