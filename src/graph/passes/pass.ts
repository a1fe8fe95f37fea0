import type { NameHints } from '../name-hints.js';
import type { GraphNode } from '../types.js';

/** A canonical graph while it is being rewritten. */
export interface Draft {
  readonly nodes: readonly GraphNode[];
  readonly output: string;
  /** Where nodes' names may come from; passes add entries for the nodes they make. */
  readonly hints: Map<string, NameHints>;
  /** Counts what was folded, for reports. */
  readonly note: (what: string) => void;
}

/** One rewriting; null where there is nothing (left) to do. */
export type Pass = (draft: Draft) => readonly GraphNode[] | null;
