import { definitionOf } from './nodes/index.js';
import type { Graph } from './types.js';

/**
 * Runs a canonical graph in float, plainly: the meaning of each node, for tests and small models.
 * @param image Normalised pixels, [channels, height, width] row-major.
 * @returns The output node's value.
 */
export function evaluateGraph(graph: Graph, image: Float32Array): Float32Array {
  return evaluateAll(graph, image).get(graph.output)!;
}

/** The value of every node by id, each [rows, cols] row-major. */
export function evaluateAll(graph: Graph, image: Float32Array): Map<string, Float32Array> {
  const { channels, height, width } = graph.input;
  if (image.length !== channels * height * width)
    throw new RangeError(`Expected ${channels * height * width} pixel values for image but received ${image.length}`);
  const values = new Map<string, Float32Array>();
  for (const node of graph.nodes) {
    const read = (id: string): Float32Array => values.get(id)!;
    values.set(node.id, definitionOf(node).evaluate(node, read, { data: image, channels, height, width }));
  }
  return values;
}
