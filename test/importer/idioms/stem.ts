import ort from 'onnxruntime-node';
import { expect } from 'vitest';
import { evaluateGraph, graphToOnnx, importModel, type Graph, type GraphNode } from '../../../src/importer/index.js';
import {
  encodeModel,
  ints,
  noise,
  random,
  writeModel,
  type ModelSpec,
  type NodeSpec,
  type TensorSpec,
} from '../../onnx/build.js';

/** What follows the patch embedding: reads `x`, [1, TOKENS, CHANNELS], and writes `y`. */
export interface Tail {
  readonly nodes: readonly NodeSpec[];
  readonly initializers?: Readonly<Record<string, TensorSpec>>;
  readonly functions?: ModelSpec['functions'];
  readonly opset?: number;
}

export const TOKENS = 4;
export const CHANNELS = 8;

/** A model whose patch embedding writes tokens `x`, followed by what is to be tested. */
export function withStem({ nodes, initializers, functions, opset }: Tail): ModelSpec {
  return {
    opset,
    functions,
    inputs: { image: [1, 3, 8, 8] },
    nodes: [
      {
        op: 'Conv',
        in: ['image', 'patch.weight', 'patch.bias'],
        out: ['map'],
        attributes: { kernel_shape: [4, 4], strides: [4, 4] },
      },
      { op: 'Reshape', in: ['map', 'map.shape'], out: ['flat'] },
      { op: 'Transpose', in: ['flat'], out: ['x'], attributes: { perm: [0, 2, 1] } },
      ...nodes,
    ],
    outputs: ['y'],
    initializers: {
      'patch.weight': random([CHANNELS, 3, 4, 4], 3),
      'patch.bias': random([CHANNELS], 4),
      'map.shape': ints([1, CHANNELS, TOKENS]),
      ...initializers,
    },
  };
}

/**
 * Imports a model and checks that its canonical graph computes what ONNX Runtime computes from the file itself.
 * @returns The graph, and its nodes after the patch embedding.
 */
export async function importAndCompare(
  tail: Tail,
  options: { skipRuntime?: boolean } = {},
): Promise<{ graph: Graph; nodes: GraphNode[] }> {
  const spec = withStem(tail);
  const { graph } = await importModel(writeModel(spec));
  const image = noise(3 * 8 * 8, 11);
  const actual = evaluateGraph(graph, image);
  expect(actual.every(Number.isFinite)).toBe(true);
  if (!options.skipRuntime) {
    const session = await ort.InferenceSession.create(encodeModel(spec), { logSeverityLevel: 4 });
    const { y } = await session.run({ image: new ort.Tensor('float32', image, [1, 3, 8, 8]) });
    const expected = y.data as Float32Array;
    expect(actual.length).toBe(expected.length);
    const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    actual.forEach((value, i) => expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(1e-5 * largest));
  }
  await expectWritten(graph, image, actual);
  return { graph, nodes: graph.nodes.filter((node) => node.op !== 'patchEmbed') };
}

/** Checks that the graph, written as ONNX again, computes the same. */
async function expectWritten(graph: Graph, image: Float32Array, expected: Float32Array): Promise<void> {
  const session = await ort.InferenceSession.create(graphToOnnx(graph), { logSeverityLevel: 4 });
  const results = await session.run({ [graph.input.name]: new ort.Tensor('float32', image, [1, 3, 8, 8]) });
  const written = results[graph.output].data as Float32Array;
  const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  expect(written.length).toBe(expected.length);
  written.forEach((value, i) => expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(1e-5 * largest));
}

export const opsOf = (nodes: readonly GraphNode[]): string[] => nodes.map((node) => node.op);
