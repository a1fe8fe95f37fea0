import { withOperands } from '../graph/nodes.js';
import type { ActivationNode, AddNode, GatherNode, Graph, GraphNode, LayerNormNode, LinearNode } from '../graph/types.js';
import { planGraph, type Plan } from './plan.js';

/** So few rows of a layer cost next to nothing, and get 16-bit inputs. */
export const FEW_ROWS = 4;

/** A graph whose output rows are computed apart, with every value that the graph before had. */
export interface SeparatedGraph {
  readonly graph: Graph;
  /** Linear layers of the output rows, and the layers of all rows whose weights they share, by id. */
  readonly twins: ReadonlyMap<string, string>;
}

/** The rows of a value that reach the output by itself, the first so many, and of how many rows they are. */
interface OutputRows {
  readonly count: number;
  readonly of: number;
}

/**
 * Gives the rows that the output reads (the class token) layers of their own in every MLP, with the same weights: few rows
 * cost next to nothing at 16 bits, and their errors reach the output undiluted, where those of all other rows are averaged
 * by attention. A graph whose output reads many rows, or others than the first ones, stays as it is.
 */
export function separateOutputRows(graph: Graph): SeparatedGraph {
  const plan = planGraph(graph, false);
  const rows = outputRows(graph, plan);
  return rows === null ? { graph, twins: new Map() } : new Separation(graph, plan, rows).run();
}

/** Of the last value of which only some rows reach the output. */
function outputRows(graph: Graph, { needed }: Plan): OutputRows | null {
  const last = graph.nodes.findLast((node) => needed.get(node.id));
  if (last === undefined) return null;
  const rows = needed.get(last.id)!;
  const areFirst = rows.length <= FEW_ROWS && rows.length < last.rows && rows.every((row, i) => row === i);
  return areFirst ? { count: rows.length, of: last.rows } : null;
}

/** An MLP, in the graph's order: nodes that work on each row by itself, from a norm to residual adds. */
type RegionNode = LayerNormNode | LinearNode | ActivationNode | AddNode;

class Separation {
  private readonly twins = new Map<string, string>();
  /** Values that stand for others: all rows, those of the output from their own layers. */
  private readonly joined = new Map<string, string>();
  /** The output rows of a value. */
  private readonly apart = new Map<string, string>();

  constructor(
    private readonly graph: Graph,
    private readonly plan: Plan,
    private readonly rows: OutputRows,
  ) {}

  run(): SeparatedGraph {
    const regions = new Map<string, readonly RegionNode[]>();
    const taken = new Set<GraphNode>();
    for (const node of this.graph.nodes) {
      if (node.op !== 'layerNorm' || node.rows !== this.rows.of || this.plan.needed.get(node.id)) continue;
      const region = this.regionFrom(node);
      if (region === null || region.some((member) => taken.has(member))) continue;
      regions.set(region.at(-1)!.id, region);
      for (const member of region) taken.add(member);
    }
    const nodes = this.graph.nodes.flatMap((node) => [withOperands(node, (id) => this.joined.get(id) ?? id), ...this.separate(regions.get(node.id) ?? [])]);
    return { graph: { ...this.graph, nodes }, twins: this.twins };
  }

  /** The nodes that follow a norm row by row, as far as residual adds; null where anything else reads one of them. */
  private regionFrom(norm: LayerNormNode): readonly RegionNode[] | null {
    const members = new Set<GraphNode>([norm]);
    for (const node of members) {
      if (node.op === 'add') continue;
      const users = this.plan.consumers.get(node.id)!;
      if (users.length === 0 || node.id === this.graph.output || !users.every((user) => this.follows(user, node))) return null;
      for (const user of users) members.add(user);
    }
    return this.graph.nodes.filter((node): node is RegionNode => members.has(node));
  }

  private follows(user: GraphNode, node: GraphNode): boolean {
    if (user.rows !== this.rows.of) return false;
    switch (user.op) {
      case 'linear':
        return node.op !== 'linear' && user.inFeatures === node.cols;
      case 'activation':
        return node.op === 'linear';
      case 'add':
        return node.op === 'linear' && user.id !== this.graph.output;
      default:
        return false;
    }
  }

  private separate(region: readonly RegionNode[]): GraphNode[] {
    const added: GraphNode[] = [];
    for (const node of region) {
      const common = { id: `${node.id}#output`, name: `${node.name}.output`, rows: this.rows.count };
      const own: RegionNode =
        node.op === 'add' ? { ...node, ...common, a: this.rowsOf(node.a, added), b: this.rowsOf(node.b, added) } : { ...node, ...common, x: this.rowsOf(node.x, added) };
      added.push(own);
      this.apart.set(node.id, own.id);
      if (own.op === 'linear') this.twins.set(own.id, node.id);
    }
    for (const node of region) if (node.op === 'add') added.push(this.join(node));
    return added;
  }

  /** The output rows of a value: their own, or taken from it by a node more. */
  private rowsOf(id: string, added: GraphNode[]): string {
    const known = this.apart.get(id);
    if (known !== undefined) return known;
    const { name, cols } = this.plan.nodes.get(id)!;
    const index = Int32Array.from({ length: this.rows.count }, (_, r) => r);
    const gather: GatherNode = { op: 'gather', id: `${id}#rows`, name: `${name}.rows`, rows: this.rows.count, cols, sources: [this.joined.get(id) ?? id], piece: cols, index };
    added.push(gather);
    this.apart.set(id, gather.id);
    return gather.id;
  }

  /** All rows of a value, those of the output from their own layers, for whoever reads it. */
  private join({ id, name, rows, cols }: AddNode): GatherNode {
    const { count } = this.rows;
    const index = Int32Array.from({ length: rows }, (_, r) => (r < count ? r : r + count));
    const joined: GatherNode = { op: 'gather', id: `${id}#joined`, name: `${name}.joined`, rows, cols, sources: [this.apart.get(id)!, id], piece: cols, index };
    this.joined.set(id, joined.id);
    return joined;
  }
}
