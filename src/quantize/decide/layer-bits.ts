import { InputError } from '../../errors.js';
import type { Graph, GraphNode, LinearNode, PatchEmbedNode } from '../../graph/types.js';
import { nearestNames } from '../../names.js';
import type { PatternBits } from '../options.js';

/** What has weights whose bits can be chosen. */
export const WEIGHT_LAYERS: readonly GraphNode['op'][] = ['linear', 'patchEmbed'];

type WeightNode = LinearNode | PatchEmbedNode;

export const hasWeights = (node: GraphNode): node is WeightNode => WEIGHT_LAYERS.includes(node.op);

/** The layers whose weights no other layer has before them. */
export const ownWeights = ({ nodes }: Graph): WeightNode[] =>
  nodes.filter(hasWeights).filter((node) => node.op !== 'linear' || node.weightsOf === undefined);

/** Layer names that an error lists. */
const LISTED = 5;

/** The bits that the last matching pattern asks for; undefined where none matches. */
export function askedBits<T extends number>(name: string, layerBits: readonly PatternBits<T>[]): T | undefined {
  return layerBits.findLast(({ pattern }) => matchesGlob(name, pattern))?.bits;
}

/** The bits that the user asks for, of the weights of each layer that a pattern matches, by id. */
export function askedWeightBits(graph: Graph, patterns: readonly PatternBits<number>[]): Map<string, number> {
  const bits = new Map<string, number>();
  for (const { id, op, name } of graph.nodes) {
    const asked = WEIGHT_LAYERS.includes(op) ? askedBits(name, patterns) : undefined;
    if (asked !== undefined) bits.set(id, asked);
  }
  return bits;
}

/** `*` stands for any run of characters; the whole name must match. Each part is looked for once: no backtracking. */
export function matchesGlob(name: string, pattern: string): boolean {
  const [first, ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first) || !name.endsWith(last)) return false;
  let at = first.length;
  for (const part of others) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= name.length - last.length;
}

/**
 * Checks that every pattern matches a layer of such a kind. The layer that reads the pixels is none whose inputs can be
 * chosen: pixels have 8 bits.
 *
 * @throws InputError naming the pattern and the layers whose names are nearest to it
 */
export function checkLayerBits(
  graph: Graph,
  layerBits: readonly PatternBits<number>[],
  kinds: readonly GraphNode['op'][],
): void {
  const names = graph.nodes.filter((node) => kinds.includes(node.op)).map((node) => node.name);
  for (const { pattern } of layerBits) {
    if (names.some((name) => matchesGlob(name, pattern))) continue;
    const nearest = nearestNames(pattern.replaceAll('*', ''), names, LISTED);
    throw new InputError(
      `No linear layer is named ${pattern}; nearest are ${nearest.join(', ')} (* stands for any characters)`,
      { code: 'BAD_SETTING' },
    );
  }
}
