/** Blocks of a network that attend, told by the residual stream that they read. */
import { operandsOf, type GraphNode } from './nodes/index.js';
import type { Graph, MatmulNode } from './types.js';

/** What attends in one place: heads side by side. */
interface Attending {
  /** 0 where nothing tells. */
  readonly heads: number;
  /** What it sums, to tell heads that sum the same, as in differential attention, from other ones. */
  readonly values: string;
  /** How many values each query weighs: what attends to other many in the same place is another block. */
  readonly keys: number;
}

/**
 * The number of heads of each block with attention, in order. Attentions are nodes of that kind, and softmaxes of
 * scores that are built from products, as where heads are mixed. Those that read the same value of the residual stream
 * are of one block: heads with layers of their own count together, and once where they sum the same values.
 *
 * 0 stands for a number that cannot be told.
 */
export function headsOfBlocks({ nodes }: Pick<Graph, 'nodes'>): number[] {
  const place = new Map(nodes.map(({ id }, i) => [id, i]));
  // The image is no node.
  const operands = nodes.map((node) => operandsOf(node).flatMap((id) => place.get(id) ?? []));
  const isResidual = residualSums(nodes, operands);
  const blocks = new Map<string, Map<string, number>>();
  for (const i of nodes.keys()) {
    const found = attending(nodes, operands, i);
    if (found === null) continue;
    const block = `${streamRead(operands, isResidual, i)} ${found.keys}`;
    blocks.set(block, (blocks.get(block) ?? new Map<string, number>()).set(found.values, found.heads));
  }
  return [...blocks.values()].map((heads) => [...heads.values()].reduce((sum, count) => sum + count));
}

/** Which nodes are x + f(x). */
function residualSums(nodes: readonly GraphNode[], operands: readonly (readonly number[])[]): boolean[] {
  const isBelow = (low: number, high: number): boolean => {
    const seen = new Set([high]);
    const open = [high];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (at === low) return true;
      for (const next of operands[at])
        if (next >= low && !seen.has(next)) {
          seen.add(next);
          open.push(next);
        }
    }
    return false;
  };
  return nodes.map(({ op }, i) => {
    if (op !== 'add' || operands[i].length < 2) return false;
    const [a, b] = operands[i].map((operand) => rearranged(nodes, operands, operand));
    return isBelow(Math.min(a, b), Math.max(a, b));
  });
}

/** The value that a chain of rearrangements of all its elements begins with. */
function rearranged(nodes: readonly GraphNode[], operands: readonly (readonly number[])[], at: number): number {
  const sizeOf = (i: number): number => nodes[i].rows * nodes[i].cols;
  while (nodes[at].op === 'gather' && operands[at].length === 1 && sizeOf(operands[at][0]) === sizeOf(at))
    [at] = operands[at];
  return at;
}

/** What a node attends with; null where it does not. */
function attending(nodes: readonly GraphNode[], operands: readonly (readonly number[])[], i: number): Attending | null {
  const node = nodes[i];
  if (node.op === 'attention') {
    // Windows side by side are read as heads, too; the layer that merges the heads tells them apart.
    const merged = headsMerged(nodes, operands, i, node.valueDim);
    const heads = merged > 0 ? Math.min(merged, node.heads) : node.heads;
    return { heads, values: JSON.stringify(node.v), keys: node.keys };
  }
  if (node.op !== 'softmax') return null;
  // The product that the weights go into.
  const reached = new Set([i]);
  for (let at = i + 1; at < nodes.length; at++) {
    if (!operands[at].some((from) => reached.has(from))) continue;
    const user = nodes[at];
    if (user.op === 'matmul') {
      const heads = headsSideBySide(user, nodes) || headsMerged(nodes, operands, at, user.n);
      return { heads, values: node.id, keys: node.cols };
    }
    reached.add(at);
  }
  return null;
}

/** Heads of a product; 0 where its operands were put in an order that may count windows among them. */
function headsSideBySide({ heads, batch, n, a, b }: MatmulNode, nodes: readonly GraphNode[]): number {
  if (heads === 1) return batch === 1 ? 1 : 0;
  const source = (id: string): GraphNode => nodes.find((node) => node.id === id)!;
  const isMoved = [a, b].some((view) => source(view.source).op === 'gather');
  return isMoved || heads * n > source(b.source).cols ? 0 : heads;
}

/** How many heads of a width the next layer reads in a row, which merges them; 0: none does. */
function headsMerged(
  nodes: readonly GraphNode[],
  operands: readonly (readonly number[])[],
  product: number,
  width: number,
): number {
  const reached = new Set([product]);
  let ofHead = width;
  for (let at = product + 1; at < nodes.length; at++) {
    if (!operands[at].some((from) => reached.has(from))) continue;
    const user = nodes[at];
    if (user.op === 'linear') return user.inFeatures % ofHead === 0 ? user.inFeatures / ofHead : 0;
    // Linear attention multiplies the queries afterwards.
    if (user.op === 'matmul') ofHead = user.n;
    reached.add(at);
  }
  return 0;
}

/** The last sum of the residual stream that a node depends on; −1: none. */
function streamRead(operands: readonly (readonly number[])[], isResidual: readonly boolean[], i: number): number {
  let last = -1;
  const open = [i];
  const seen = new Set(open);
  for (let at = open.pop(); at !== undefined; at = open.pop())
    for (const next of operands[at])
      if (isResidual[next]) last = Math.max(last, next);
      else if (!seen.has(next)) {
        seen.add(next);
        open.push(next);
      }
  return last;
}
