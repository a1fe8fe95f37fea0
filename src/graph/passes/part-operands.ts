import type { AttentionNode, AttentionView, GraphNode } from '../types.js';
import type { Draft, Pass } from './pass.js';

const ROLES = ['q', 'k', 'v'] as const;
type Role = (typeof ROLES)[number];

/**
 * Where one tensor is a query of one attention and a key of another, or of the same, it is computed once for each: an
 * operand's integers have the scales that its attention wants, and no tensor can have two.
 */
export const partOperands: Pass = (draft) => {
  const claimed = new Map<string, { claim: string; columns: ReadonlySet<number> }[]>();
  const byId = new Map(draft.nodes.map((node) => [node.id, node]));
  for (const node of draft.nodes) {
    if (node.op !== 'attention') continue;
    for (const role of ROLES) {
      const { source } = node[role];
      const columns = new Set(columnsOf(node, role, byId));
      const claim = claimOf(node, role, byId);
      const claims = claimed.get(source) ?? [];
      const isTaken = claims.some((other) => other.claim !== claim && [...columns].some((c) => other.columns.has(c)));
      if (isTaken) return withCopy(draft, node, role, byId);
      claimed.set(source, [...claims, { claim, columns }]);
    }
  }
  return null;
};

/** The columns of its source that an operand reads, head by head. */
function columnsOf(node: AttentionNode, role: Role, byId: ReadonlyMap<string, GraphNode>): number[] {
  const view = node[role];
  const { cols } = byId.get(view.source)!;
  const width = role === 'v' ? node.valueDim : node.dim;
  return Array.from({ length: node.heads * width }, (_, i) => {
    return (view.offset + Math.floor(i / width) * view.headStride + (i % width)) % cols;
  });
}

/** What the scales of an operand follow from: those of two operands are the same where this is. */
function claimOf(node: AttentionNode, role: Role, byId: ReadonlyMap<string, GraphNode>): string {
  if (role === 'v') return 'v';
  const of = (operand: Role): unknown => [node[operand].source, columnsOf(node, operand, byId)];
  return JSON.stringify([role, of('q'), of('k'), Array.from(node.scale)]);
}

/** The graph with an operand's value computed once more, for this one reader. */
function withCopy(
  { nodes, hints, note }: Draft,
  reader: AttentionNode,
  role: Role,
  byId: ReadonlyMap<string, GraphNode>,
): readonly GraphNode[] {
  const copies = new Map<string, GraphNode>();
  const copyOf = (id: string): string => {
    const node = byId.get(id)!;
    const known = copies.get(id);
    if (known) return known.id;
    let copy = `${id}#${role}`;
    while (byId.has(copy)) copy += role;
    // What is gathered has the scales of what it becomes part of.
    const own = node.op === 'gather' ? { ...node, sources: node.sources.map(copyOf) } : node;
    copies.set(id, { ...own, id: copy });
    hints.set(copy, hints.get(id)!);
    return copy;
  };
  const view: AttentionView = { ...reader[role], source: copyOf(reader[role].source) };
  note('operand of two attentions computed for each');
  return nodes.flatMap((node): GraphNode[] => {
    if (node === reader) return [{ ...reader, [role]: view }];
    const copy = copies.get(node.id);
    return copy ? [node, copy] : [node];
  });
}
