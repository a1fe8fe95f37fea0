import type { NameHints } from '../name-hints.js';
import { liveNodes } from '../liveness.js';
import type { GraphNode } from '../types.js';
import { foldAffine } from './fold-affine.js';
import { gatherFirst } from './gather-first.js';
import { joinHeads } from './join-heads.js';
import { mergeGathers } from './merge-gathers.js';
import { mixGathered } from './mix-gathered.js';
import { mixInPlace } from './mix-in-place.js';
import { partOperands } from './part-operands.js';
import type { Pass } from './pass.js';
import { readInPlace } from './read-in-place.js';
import { scaleColumns } from './scale-columns.js';
import { splitLinear } from './split-linear.js';

const passes: readonly Pass[] = [
  foldAffine,
  scaleColumns,
  splitLinear,
  joinHeads,
  gatherFirst,
  mergeGathers,
  mixInPlace,
  partOperands,
  mixGathered,
  readInPlace,
];

/**
 * Rewrites canonical nodes until no pass finds anything more to do.
 * @param hints Where names may come from, by node id; entries are added for new nodes.
 * @returns The nodes that the output needs, and what was folded, one line each.
 */
export function rewrite(
  nodes: readonly GraphNode[],
  output: string,
  hints: Map<string, NameHints>,
): { nodes: GraphNode[]; folded: string[] } {
  const counts = new Map<string, number>();
  const note = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  let current = liveNodes(nodes, output);
  for (const pass of passes)
    for (
      let next = pass({ nodes: current, output, hints, note });
      next;
      next = pass({ nodes: current, output, hints, note })
    )
      current = liveNodes(next, output);
  return { nodes: current, folded: [...counts].map(([what, count]) => (count > 1 ? `${count} × ${what}` : what)) };
}
