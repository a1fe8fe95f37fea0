import type { FirstRows } from '../calibrate/collect.js';
import { withOperands } from '../graph/nodes/index.js';
import type {
  ActivationNode,
  AddNode,
  AttentionNode,
  GatherNode,
  Graph,
  GraphNode,
  LayerNormNode,
  LinearNode,
} from '../graph/types.js';
import { planGraph, type Plan } from './plan/index.js';
import { staticInputs } from './schemes/static.js';
import { FEW_ROWS } from './techniques.js';

/** The rows of a value that reach the output by itself, the first so many, and of how many rows they are. */
interface OutputRows {
  readonly count: number;
  readonly of: number;
}

/**
 * Gives the rows that the output reads (the class token) layers of their own in every block, with tied weights: few
 * rows cost next to nothing with more bits, and their errors reach the output undiluted, where those of all other rows
 * are averaged by attention. What other rows read of them are keys and values. A graph whose output reads many rows, or
 * others than the first ones, stays as it is.
 */
export function separateOutputRows(graph: Graph): Graph {
  let separated = known.get(graph);
  if (separated === undefined) {
    const plan = planGraph(graph, staticInputs);
    const rows = outputRows(graph, plan);
    separated = rows === null ? graph : new Separation(graph, plan, rows).run();
    known.set(graph, separated);
  }
  return separated;
}

/** Graphs separated so far: several stages ask for the same. */
const known = new WeakMap<Graph, Graph>();

/**
 * The nodes that separation added to a graph. In floats, each has the values of a node that was there before, of its
 * first rows: so the float model need not compute them.
 */
export function addedRows(graph: Graph): Map<string, FirstRows> {
  const before = new Set(graph.nodes.map(({ id }) => id));
  const added = separateOutputRows(graph).nodes.filter(({ id }) => !before.has(id));
  return new Map(added.map(({ id, rows }) => [id, { of: id.slice(0, id.lastIndexOf('#')), count: rows }]));
}

/** Of the last value of which only some rows reach the output. */
function outputRows(graph: Graph, { needed }: Plan): OutputRows | null {
  const last = graph.nodes.findLast((node) => needed.get(node.id));
  if (last === undefined) return null;
  const rows = needed.get(last.id)!;
  const areFirst = rows.length <= FEW_ROWS && rows.length < last.rows && rows.every((row, i) => row === i);
  return areFirst ? { count: rows.length, of: last.rows } : null;
}

/**
 * A node of a region, each of whose rows is made from the same row of the one before: from a norm or an attention to
 * residual adds, or to the operands of an attention.
 */
type RegionNode = LayerNormNode | AttentionNode | LinearNode | ActivationNode | AddNode;

class Separation {
  /** Values that stand for others: all rows, those of the output from their own layers. */
  private readonly joined = new Map<string, string>();
  /** The output rows of a value. */
  private readonly apart = new Map<string, string>();
  /** Where the output's rows are among all. */
  private readonly firstRows: Int32Array;

  constructor(
    private readonly graph: Graph,
    private readonly plan: Plan,
    private readonly rows: OutputRows,
  ) {
    this.firstRows = Int32Array.from({ length: rows.count }, (_, r) => r);
  }

  run(): Graph {
    const members = new Set<GraphNode>();
    for (const node of this.graph.nodes) {
      if (!this.isStart(node)) continue;
      const region = this.regionFrom(node);
      if (region?.some((member) => members.has(member))) continue;
      for (const member of region ?? []) members.add(member);
    }
    const nodes = this.graph.nodes.flatMap((node): GraphNode[] => [
      withOperands(node, (id) => this.joined.get(id) ?? id),
      ...(members.has(node) ? this.separate(node as RegionNode) : []),
    ]);
    return { ...this.graph, nodes };
  }

  /** A norm or an attention of all rows, by which not the output's alone are made. */
  private isStart(node: GraphNode): node is LayerNormNode | AttentionNode {
    if (node.rows !== this.rows.of || this.plan.needed.get(node.id)) return false;
    return node.op === 'layerNorm' || (node.op === 'attention' && node.queries === node.rows && node.q.rows === null);
  }

  /**
   * The nodes that follow row by row, as far as residual adds or operands; null where anything else reads one of them.
   */
  private regionFrom(start: LayerNormNode | AttentionNode): readonly GraphNode[] | null {
    const members = new Set<GraphNode>([start]);
    for (const node of members) {
      if (this.isJoined(node)) continue;
      const users = this.plan.consumers.get(node.id)!;
      if (users.length === 0 || node.id === this.graph.output || !users.every((user) => this.follows(user, node)))
        return null;
      for (const user of users) members.add(user);
    }
    return [...members];
  }

  /** Whether a region ends with this node: others read its rows together. */
  private isJoined(node: GraphNode): boolean {
    return (
      node.op === 'add' ||
      (node.op === 'linear' && this.plan.consumers.get(node.id)!.every(({ op }) => op === 'attention'))
    );
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

  /** What follows a node of a region: the same for the output rows, and the join where the region ends. */
  private separate(node: RegionNode): GraphNode[] {
    const added: GraphNode[] = [];
    const own = this.ownOf(node, added);
    added.push(own);
    this.apart.set(node.id, own.id);
    if (this.isJoined(node)) added.push(this.join(node));
    return added;
  }

  /** The same for the output rows alone. */
  private ownOf(node: RegionNode, added: GraphNode[]): RegionNode {
    const common = { id: `${node.id}#output`, name: `${node.name}.output`, rows: this.rows.count };
    switch (node.op) {
      case 'add':
        return { ...node, ...common, a: this.rowsOf(node.a, added), b: this.rowsOf(node.b, added) };
      case 'attention': {
        // The first queries, of all rows' keys and values.
        const { q, k, v, bias } = withOperands(node, (id) => this.joined.get(id) ?? id) as AttentionNode;
        const queries = this.rows.count;
        return {
          ...node,
          ...common,
          queries,
          q: { ...q, rows: this.firstRows },
          k,
          v,
          bias: bias === null ? null : firstQueries(bias, node, queries),
        };
      }
      case 'linear':
        return { ...node, ...common, x: this.rowsOf(node.x, added), weightsOf: node.id };
      default:
        return { ...node, ...common, x: this.rowsOf(node.x, added) };
    }
  }

  /** The output rows of a value: their own, or taken from it by a node more. */
  private rowsOf(id: string, added: GraphNode[]): string {
    const known = this.apart.get(id);
    if (known !== undefined) return known;
    const { name, cols } = this.plan.nodes.get(id)!;
    const gather: GatherNode = {
      op: 'gather',
      id: `${id}#rows`,
      name: `${name}.rows`,
      rows: this.rows.count,
      cols,
      sources: [this.joined.get(id) ?? id],
      piece: cols,
      index: this.firstRows,
    };
    added.push(gather);
    this.apart.set(id, gather.id);
    return gather.id;
  }

  /** All rows of a value, those of the output from their own layers, for whoever reads it. */
  private join({ id, name, rows, cols }: RegionNode): GatherNode {
    const { count } = this.rows;
    const index = Int32Array.from({ length: rows }, (_, r) => (r < count ? r : r + count));
    const joined: GatherNode = {
      op: 'gather',
      id: `${id}#joined`,
      name: `${name}.joined`,
      rows,
      cols,
      sources: [this.apart.get(id)!, id],
      piece: cols,
      index,
    };
    this.joined.set(id, joined.id);
    return joined;
  }
}

/** Position bias and masks of the first queries. */
function firstQueries(bias: Float32Array, { queries, keys }: AttentionNode, count: number): Float32Array {
  const matrices = bias.length / (queries * keys);
  const first = new Float32Array(matrices * count * keys);
  for (let m = 0; m < matrices; m++)
    first.set(bias.subarray(m * queries * keys, (m * queries + count) * keys), m * count * keys);
  return first;
}
