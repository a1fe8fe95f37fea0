import { tapCount, windowAttributes } from './geometry.js';
import { definitionOf, operandsOf } from './nodes/index.js';
import { mapOfChannels, pixelsOfMap } from './nodes/maps.js';
import { channelsFirst, OnnxWriter } from './onnx-writer.js';
import type { Graph, GraphNode, LinearNode, WindowsNode } from './types.js';

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
  const convolved = convolvedWindows(nodes, outputs);
  for (const node of nodes) {
    const windows = node.op === 'linear' ? convolved.get(node.x) : undefined;
    if (node.op === 'linear' && windows) writeConvolution(node, windows, writer);
    else if (!convolved.has(node.id)) definitionOf(node).toOnnx(node, writer);
  }
  return writer.encode(
    nodes.some(({ op }) => op === 'patchEmbed'),
    inputs,
    outputs,
  );
}

/** Windows that linear layers alone read: a convolution does without them, which are many times the map. */
function convolvedWindows(nodes: readonly GraphNode[], outputs: readonly string[]): Map<string, WindowsNode> {
  const found = new Map<string, WindowsNode>();
  for (const node of nodes) if (node.op === 'windows' && !outputs.includes(node.id)) found.set(node.id, node);
  for (const node of nodes)
    for (const id of operandsOf(node)) {
      const windows = found.get(id);
      if (windows && !(node.op === 'linear' && node.inFeatures === windows.cols)) found.delete(id);
    }
  return found;
}

function writeConvolution(layer: LinearNode, { x, cols, geometry }: WindowsNode, writer: OnnxWriter): void {
  const { id, cols: filters, weight, bias } = layer;
  const taps = tapCount(geometry);
  const channels = cols / taps;
  const ordered = channelsFirst(weight, filters, taps, channels);
  const inputs = [
    mapOfChannels(writer, id, x, geometry, channels),
    writer.floats(id, 'weight', [filters, channels, ...geometry.kernel], ordered),
    writer.floats(id, 'bias', [filters], bias),
  ];
  const conv = writer.op('Conv', inputs, `${id}//conv`, windowAttributes(geometry));
  pixelsOfMap(writer, id, conv, geometry, filters);
}
