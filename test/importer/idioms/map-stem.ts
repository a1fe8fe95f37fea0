import ort from 'onnxruntime-node';
import { expect } from 'vitest';
import { evaluateGraph, graphToOnnx, type Graph, type GraphNode } from '../../../src/importer/index.js';
import { noise, random, type TensorSpec } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { importAndCompare } from './stem.js';

/** Channels of the map `m` that `compareOnMap` begins with. */
export const MAP_CHANNELS = 6;

/** What follows a map. */
interface OnMap {
  readonly steps: string;
  readonly initializers?: Readonly<Record<string, TensorSpec>>;
  readonly opset?: number;
}

/**
 * Imports a model that begins with a convolution of the image, `m` [1, 6, 8, 8] without negative values, and goes on as
 * the steps say. Checks that its canonical graph computes what ONNX Runtime computes from the file, also when it is
 * written as ONNX itself.
 *
 * @returns The graph, and its nodes after the first convolution and its activation.
 */
export async function compareOnMap({
  steps,
  initializers,
  opset,
}: OnMap): Promise<{ graph: Graph; nodes: GraphNode[] }> {
  const { graph } = await importAndCompare({
    nodes: nodesOf(`
      stem = Conv(image, stem.weight; kernel_shape=[3, 3], pads=[1, 1, 1, 1])
      m = Relu(stem)
      ${steps}
    `),
    initializers: { 'stem.weight': random([MAP_CHANNELS, 3, 3, 3], 5), ...initializers },
    opset,
  });
  const image = noise(3 * 8 * 8, 11);
  const session = await ort.InferenceSession.create(graphToOnnx(graph), { logSeverityLevel: 4 });
  const feeds = { image: new ort.Tensor('float32', image, [1, 3, 8, 8]) };
  const written = (await session.run(feeds))[graph.output].data as Float32Array;
  const plain = evaluateGraph(graph, image);
  const largest = plain.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  expect(written.length).toBe(plain.length);
  plain.forEach((value, i) => expect(Math.abs(value - written[i])).toBeLessThanOrEqual(1e-5 * largest));
  return { graph, nodes: graph.nodes.slice(2) };
}
