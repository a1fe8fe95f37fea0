/** The scale of every int32 value. */
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import type { GraphNode } from '../../graph/types.js';
import { MAX_EPSILON, WIDE_LIMIT } from '../../program/limits.js';
import type { Plan } from '../plan/types.js';

/**
 * Margin above the largest value seen: a rare token can be ten times larger than all those of the calibration images
 * (ViT-Tiny), and 24 bits leave a thousand steps to a value of 1/500 of the largest all the same.
 */
const MARGIN = 32;
/** The same of values that are only divided: sums over all tokens, of which none is that rare. */
const QUOTIENT_MARGIN = 4;
/** Values that are smaller than the network's largest by less than this share its scale: they have bits enough. */
const COMMON_RANGE = 64;

/**
 * Int32 values that are added to each other, or moved into one value, must have one scale. Such groups are the residual
 * stream and all that is added to it, in most networks. Groups whose values are far smaller than the network's largest
 * have scales of their own: sums over all tokens, as linear attention divides them by each other, would leave no bits
 * to the rest. So have those that only divisions read: of a quotient, a small denominator counts like a large one.
 */
export class WideScales {
  private readonly groups = new Groups();
  /** By the group's representative. */
  private readonly scales = new Map<string, number>();
  private readonly common: number;

  /** @param isWide whether a node writes int32, alone or before it is requantized */
  constructor(
    { nodes, consumers }: Pick<Plan, 'nodes' | 'consumers'>,
    statistics: ReadonlyMap<string, ChannelStatistics>,
    isWide: (node: GraphNode) => boolean,
  ) {
    for (const node of nodes.values()) for (const id of sharing(node)) this.groups.join(node.id, id);
    const largest = new Map<string, number>();
    for (const node of nodes.values()) {
      if (!isWide(node)) continue;
      const group = this.groups.of(node.id);
      largest.set(group, Math.max(largest.get(group) ?? 0, largestOf(statistics.get(node.id)!)));
    }
    const added = new Set<string>();
    for (const { id } of nodes.values()) if (!isOnlyDivided(id, consumers.get(id)!)) added.add(this.groups.of(id));
    const most = [...largest.values()].reduce((a, b) => Math.max(a, b), 0);
    this.common = scaleFor(most);
    for (const [group, reach] of largest) this.scales.set(group, this.scaleOf(reach, most, !added.has(group)));
    for (const node of nodes.values()) this.raiseForEpsilon(node);
  }

  of(id: string): number {
    return this.scales.get(this.groups.of(id)) ?? this.common;
  }

  private scaleOf(reach: number, most: number, isDivided: boolean): number {
    if (isDivided) return scaleFor(reach, QUOTIENT_MARGIN);
    return reach * COMMON_RANGE < most ? scaleFor(reach) : this.common;
  }

  /** The ε of a norm, in units of the squares of what it reads, has a largest value. */
  private raiseForEpsilon(node: GraphNode): void {
    if (node.op !== 'layerNorm' && node.op !== 'l2Norm') return;
    const epsilon = node.op === 'layerNorm' ? node.epsilon * node.cols : node.epsilon ** 2;
    const least = Math.sqrt((2 * epsilon) / Number(MAX_EPSILON));
    if (this.of(node.x) < least) this.scales.set(this.groups.of(node.x), least);
  }
}

const scaleFor = (largest: number, margin = MARGIN): number => ((largest || 1) * margin) / WIDE_LIMIT;

/** Whether a value is read by divisions alone, or by what has its scale. */
function isOnlyDivided(id: string, readers: readonly GraphNode[]): boolean {
  return readers.length > 0 && readers.every((reader) => reader.op === 'divide' || sharing(reader).includes(id));
}

/** The operands that have the scale of what is made of them, where both are int32. */
function sharing(node: GraphNode): readonly string[] {
  switch (node.op) {
    case 'add':
      return [node.a, node.b];
    case 'gather':
      return node.sources;
    case 'addConst':
    case 'maxPool':
    case 'windows':
      return [node.x];
    case 'affine':
      // A shift alone is an addition; what is scaled may be far smaller or larger.
      return node.scale.every((factor) => factor === 1) ? [node.x] : [];
    default:
      return [];
  }
}

/** The largest absolute value seen. */
function largestOf({ channels, min, max }: ChannelStatistics): number {
  let largest = 0;
  for (let c = 0; c < channels; c++) largest = Math.max(largest, -min[c], max[c]);
  return largest;
}

/** Disjoint sets of ids. */
class Groups {
  private readonly parents = new Map<string, string>();

  of(id: string): string {
    let root = id;
    for (let parent = this.parents.get(root); parent !== undefined; parent = this.parents.get(root)) root = parent;
    if (root !== id) this.parents.set(id, root);
    return root;
  }

  join(a: string, b: string): void {
    const [from, to] = [this.of(a), this.of(b)];
    if (from !== to) this.parents.set(from, to);
  }
}
