import { describe, expect, test } from 'vitest';
import type { Graph, GraphNode } from '../../src/graph/types.js';
import { syntheticImage } from '../../src/images/synthetic/index.js';
import { DEFAULT_OPTIONS, quantizeGraph, type QuantizeOptions } from '../../src/quantize/index.js';
import { tinyGraph } from '../cli/ivit.js';

/** Parts of a network that training or pruning left with next to nothing must cost the rest nothing. */
const images = Array.from({ length: 24 }, (_, i) => Uint8Array.from(syntheticImage(16, 16, i).data));

async function sqnrOf(graph: Graph, options: Partial<QuantizeOptions> = {}): Promise<number> {
  const { agreement } = await quantizeGraph({
    graph,
    images,
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    options: { ...DEFAULT_OPTIONS, ...options },
  });
  return agreement.sqnrDb;
}

type Weighted = Extract<GraphNode, { readonly weight: Float32Array }>;

/** The graph with the weights of a layer's channel times a factor, its bias 0.4. */
function scaled(graph: Graph, id: string, channel: number, factor: number): Graph {
  const nodes = graph.nodes.map((node): GraphNode => {
    if (node.id !== id) return node;
    const { weight, bias, cols } = node as Weighted;
    const K = weight.length / cols;
    return {
      ...(node as Weighted),
      weight: weight.map((w, i) => (Math.floor(i / K) === channel ? w * factor : w)),
      bias: bias.map((b, n) => (n === channel ? 0.4 : b)),
    };
  });
  return { ...graph, nodes };
}

const changed = (graph: Graph, id: string, change: (node: GraphNode) => object): Graph => ({
  ...graph,
  nodes: graph.nodes.map((node) => (node.id === id ? ({ ...node, ...change(node) } as GraphNode) : node)),
});

/** By chance alone, figures of so small a network differ by as much, in decibels. */
const CHANCE = 2;
const seed = 7;
const layers = tinyGraph(seed)
  .nodes.filter((node) => 'weight' in node)
  .map(({ id }) => id);

describe('an output channel of next to no weights', () => {
  test.each(layers)('in %s costs nothing', async (id) => {
    const whole = await sqnrOf(scaled(tinyGraph(seed), id, 3, 1));
    for (const factor of [1e-6, 1e-9, 0]) {
      const sqnr = await sqnrOf(scaled(tinyGraph(seed), id, 3, factor));
      expect(sqnr, String(factor)).toBeGreaterThan(whole - CHANCE);
    }
  });

  test.each(['static', 'dynamic'] as const)('with %s scales, in all layers at a time', async (scales) => {
    const graph = layers.reduce((all, id) => scaled(all, id, 5, 1e-8), tinyGraph(seed));
    expect(await sqnrOf(graph, { scales })).toBeGreaterThan((await sqnrOf(tinyGraph(seed), { scales })) - CHANCE);
  });
});

describe('parts that are constant', () => {
  test('a norm whose γ is 0 in most channels', async () => {
    const graph = changed(tinyGraph(seed), 'norm1', (node) => ({
      gamma: (node as { gamma: Float32Array }).gamma.map((g, c) => (c % 4 === 0 ? g : 0)),
    }));
    expect(await sqnrOf(graph)).toBeGreaterThan((await sqnrOf(tinyGraph(seed))) - CHANCE);
  });

  test('a head whose queries, keys and values are 0', async () => {
    const graph = changed(tinyGraph(seed), 'qkv', (node) => {
      const { weight, bias } = node as Weighted;
      const isDead = (n: number): boolean => n % 16 < 8;
      return {
        weight: weight.map((w, i) => (isDead(Math.floor(i / 16)) ? 0 : w)),
        bias: bias.map((b, n) => (isDead(n) ? 0 : b)),
      };
    });
    expect(await sqnrOf(graph)).toBeGreaterThan((await sqnrOf(tinyGraph(seed))) - CHANCE);
  });

  test('a layer of no weights and no bias', async () => {
    const graph = changed(tinyGraph(seed), 'qkv', (node) => ({
      weight: (node as Weighted).weight.map(() => 0),
      bias: (node as Weighted).bias.map(() => 0),
    }));
    expect(await sqnrOf(graph)).toBeGreaterThan((await sqnrOf(tinyGraph(seed))) - CHANCE);
  });
});
