import { InputError } from '../errors.js';
import { broadcastData, sameShape, sizeOf, type Constant } from './constant.js';
import type { ConstantExpr, Expr, ImageExpr, ViewExpr } from './expr.js';
import {
  coarsen,
  compose,
  identityLayout,
  invert,
  isBijective,
  isIdentity,
  isInjective,
  layoutSize,
  permute,
  refine,
  sameLayout,
  take,
  type Layout,
} from '../graph/layout.js';
import { isComparison } from '../graph/formula.js';
import { isStep } from '../graph/scalar.js';
import type { NameHints } from '../graph/name-hints.js';
import { nameHints } from './name-hints.js';
import { problemAt, Unsupported, type Problem } from './problems.js';
import type { GraphNode } from '../graph/types.js';

/** A tensor as a rearrangement of values that canonical nodes write. */
export interface Lowered {
  readonly shape: readonly number[];
  /** Node ids. */
  readonly sources: readonly string[];
  readonly layout: Layout;
}

type Unnamed<T> = T extends GraphNode ? Omit<T, 'id' | 'name'> : never;

/** A canonical node before it has an id and a name. */
export type NewNode = Unnamed<GraphNode>;

/** What recognises expressions: adds a canonical node for one, or returns null. */
export interface Lowering {
  /** It is asked about rearrangements too. */
  readonly takesViews?: true;
  lower?(expr: Expr, lowerer: Lowerer): Lowered | null;
}

/**
 * Turns expressions into canonical nodes, from the output backwards: what nothing needs is never reached. Layout is
 * carried along as rearrangements and becomes a `gather` only where a node needs its operand in order.
 */
export class Lowerer {
  readonly nodes: GraphNode[] = [];
  readonly problems: Problem[] = [];
  /** By node id: where its name may come from. */
  readonly hints = new Map<string, NameHints>();
  readonly #sizes = new Map<string, number>();
  readonly #nodes = new Map<string, GraphNode>();
  readonly #done = new Map<Expr, Lowered>();
  /** Gathers made so far, so that no copy is made twice. */
  readonly #gathers = new Map<string, { id: string; layout: Layout }[]>();
  readonly #tables = new Map<string, Float32Array[]>();
  #anonymous = 0;

  /** @param lowerings in the order that they are tried */
  constructor(private readonly lowerings: readonly Lowering[]) {}

  /** The canonical nodes' view of an expression's value. */
  lower(expr: Expr): Lowered {
    let lowered = this.#done.get(expr);
    if (!lowered) {
      lowered = this.#lower(expr);
      this.#done.set(expr, lowered);
    }
    return lowered;
  }

  #lower(expr: Expr): Lowered {
    if (expr.op === 'view' && !isOfImage(expr)) return this.#recognisedView(expr) ?? this.#view(expr);
    if (expr.op === 'constant') return this.#constant(expr);
    try {
      for (const lowering of this.lowerings) {
        const lowered = lowering.lower?.(expr, this);
        if (lowered) return lowered;
      }
      if (expr.op === 'image') return this.#pixels(expr);
      if (expr.op === 'view') return this.#view(expr);
      throw new Unsupported(...notMatched(expr));
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error;
      this.problems.push(problemAt(expr.origin, error.message, error.remedy));
      // Stands in for the value, so that what else is unsupported is found too.
      const value = new Float32Array(sizeOf(expr.shape));
      return this.emit(expr, { op: 'constant', rows: 1, cols: value.length, value }, [], expr.shape);
    }
  }

  /**
   * Adds a node. Its value, laid out as `layout` says, has the expression's shape.
   * @param constants The weights its name may come from.
   */
  emit(expr: Expr, node: NewNode, constants: readonly Expr[], shape: readonly number[], layout?: Layout): Lowered {
    const size = node.rows * node.cols;
    let id = expr.tensor;
    if (id === '' || this.#nodes.has(id)) {
      const stem = id || expr.origin?.outputs[0] || node.op;
      do id = `${stem}#${this.#anonymous++}`;
      while (this.#nodes.has(id));
    }
    const complete = { ...node, id, name: id } as GraphNode;
    checkFinite(complete, expr);
    this.nodes.push(complete);
    this.#nodes.set(id, complete);
    this.#sizes.set(id, size);
    this.hints.set(id, nameHints(expr, constants));
    return { shape, sources: [id], layout: layout ?? identityLayout(size) };
  }

  /** The array that stands for all that are equal to `table`: the tables of blocks are often the same. */
  shared(table: Float32Array): Float32Array {
    const key = `${table.length} ${table[0]} ${table[table.length >> 1]}`;
    const made = this.#tables.get(key) ?? [];
    const known = made.find((other) => other.every((v, i) => v === table[i]));
    if (known === undefined) this.#tables.set(key, [...made, table]);
    return known ?? table;
  }

  node(id: string): GraphNode {
    return this.#nodes.get(id)!;
  }

  /** The node whose value is exactly the lowered tensor, or null. */
  whole(lowered: Lowered): string | null {
    return lowered.sources.length === 1 && isIdentity(lowered.layout, this.sizeOf(lowered.sources[0]))
      ? lowered.sources[0]
      : null;
  }

  sizeOf(id: string): number {
    return this.#sizes.get(id)!;
  }

  /** True where the tensor is all of one node's value in another order. */
  isPermutation(lowered: Lowered): boolean {
    return lowered.sources.length === 1 && isBijective(lowered.layout, this.sizeOf(lowered.sources[0]));
  }

  /** The same elements in another shape. */
  reshaped(lowered: Lowered, shape: readonly number[]): Lowered {
    return { ...lowered, shape };
  }

  /** A further rearrangement of one tensor. */
  rearranged(lowered: Lowered, layout: Layout, shape: readonly number[]): Lowered {
    const sizes = lowered.sources.map((id) => this.sizeOf(id));
    let start = 0;
    const starts = sizes.map((size) => (start += size) - size);
    const composed = compose(layout, [{ layout: lowered.layout, sizes, starts }]);
    return { shape, sources: lowered.sources, layout: coarsen(composed, sizes) };
  }

  /** The tensor repeated along axes so that it has the given shape. */
  broadcast(lowered: Lowered, shape: readonly number[]): Lowered {
    if (sameShape(lowered.shape, shape)) return lowered;
    const padded = [...new Array<number>(shape.length - lowered.shape.length).fill(1), ...lowered.shape];
    const picks = shape.map((dim, i) => (dim === padded[i] ? null : new Int32Array(dim)));
    return this.rearranged(lowered, take(padded, picks), shape);
  }

  /** The tensor as one node's value, elements in order; a `gather` is added where they are not. */
  inOrder(lowered: Lowered, cols: number, expr: Expr): string {
    const whole = this.whole(lowered);
    if (whole !== null) return whole;
    const { sources, index } = this.#trimmed(lowered.sources, lowered.layout);
    const layout = coarsen(
      { piece: lowered.layout.piece, index },
      sources.map((id) => this.sizeOf(id)),
    );
    const key = JSON.stringify([sources, cols, layout.piece, layout.index.length]);
    const made = this.#gathers.get(key) ?? [];
    const known = made.find((gather) => sameLayout(gather.layout, layout));
    if (known) return known.id;
    const rows = layoutSize(layout) / cols;
    const node = { op: 'gather' as const, rows, cols, sources, piece: layout.piece, index: layout.index };
    const [id] = this.emit(expr.op === 'view' ? expr : { ...expr, tensor: '' }, node, [], lowered.shape).sources;
    this.#gathers.set(key, [...made, { id, layout }]);
    return id;
  }

  /** Leaves out sources that no piece reads. */
  #trimmed(sources: readonly string[], layout: Layout): { sources: string[]; index: Int32Array } {
    const ends: number[] = [];
    let end = 0;
    for (const id of sources) ends.push((end += this.sizeOf(id) / layout.piece));
    const read = sources.map(() => false);
    const owner = (from: number): number => {
      let k = 0;
      while (from >= ends[k]) k++;
      return k;
    };
    for (const from of layout.index) if (from >= 0) read[owner(from)] = true;
    if (read.every(Boolean)) return { sources: [...sources], index: layout.index };
    const shifts: number[] = [];
    let dropped = 0;
    sources.forEach((id, k) => {
      shifts.push(dropped);
      if (!read[k]) dropped += this.sizeOf(id) / layout.piece;
    });
    const index = layout.index.map((from) => (from < 0 ? -1 : from - shifts[owner(from)]));
    return { sources: sources.filter((_, k) => read[k]), index };
  }

  /**
   * For a node that treats each run of `width` elements alike: an operand it can read as it lies, with `order` saying
   * where the tensor's runs are in it. Where runs are whole and each is used once, no copy is made.
   */
  byRows(lowered: Lowered, width: number, expr: Expr): { x: string; rows: number; order: Layout } {
    const { layout, sources } = lowered;
    if (layout.piece % width === 0) {
      const runs = refine(layout, width);
      if (this.isPermutation(lowered)) return { x: sources[0], rows: runs.index.length, order: runs };
    }
    const compact = this.#compacted(lowered, width);
    if (compact) {
      const x = this.inOrder(compact.kept, width, expr);
      return { x, rows: compact.order.index.length, order: compact.order };
    }
    const x = this.inOrder(lowered, width, expr);
    const rows = layoutSize(layout) / width;
    return { x, rows, order: { piece: width, index: Int32Array.from({ length: rows }, (_, i) => i) } };
  }

  /** Part of one node's value, whole runs of it in another order: the part in its natural order, and that order. */
  #compacted(lowered: Lowered, width: number): { kept: Lowered; order: Layout } | null {
    const { layout, sources } = lowered;
    if (sources.length !== 1 || layout.piece % width !== 0 || !isInjective(layout, this.sizeOf(sources[0])))
      return null;
    const runs = refine(layout, width);
    const sorted = Int32Array.from(runs.index).sort();
    const place = new Map<number, number>();
    sorted.forEach((from, i) => place.set(from, i));
    const order = { piece: width, index: runs.index.map((from) => place.get(from)!) };
    const natural = coarsen({ piece: width, index: sorted }, [this.sizeOf(sources[0])]);
    return { kept: { shape: [sorted.length, width], sources, layout: natural }, order };
  }

  /**
   * For an elementwise node: an operand it can read as it lies (all of one node's value), with `order` saying where the
   * tensor's elements are in it.
   */
  anyOrder(lowered: Lowered, expr: Expr): { x: string; order: Layout } {
    if (this.isPermutation(lowered)) return { x: lowered.sources[0], order: lowered.layout };
    const cols = lowered.shape.at(-1) ?? 1;
    const compact = this.#compacted(lowered, cols);
    if (compact) {
      const x = this.inOrder(compact.kept, cols, expr);
      return { x, order: coarsen(compact.order, [this.sizeOf(x)]) };
    }
    return this.#naturalOrder(lowered, expr);
  }

  /** A copy in the tensor's own order, or with the channels of a map last, where they lie so in what is copied. */
  #naturalOrder(lowered: Lowered, expr: Expr): { x: string; order: Layout } {
    const [n, channels, ...rest] = lowered.shape;
    if (rest.length > 0) {
      const pixels = sizeOf(rest);
      const last = this.rearranged(lowered, permute([n, channels, pixels], [0, 2, 1]), [n, pixels, channels]);
      if (last.layout.piece > lowered.layout.piece || (rest.length === 2 && lowered.layout.piece === 1))
        return { x: this.inOrder(last, channels, expr), order: permute([n, pixels, channels], [0, 2, 1]) };
    }
    return {
      x: this.inOrder(lowered, lowered.shape.at(-1) ?? 1, expr),
      order: identityLayout(layoutSize(lowered.layout)),
    };
  }

  /** A constant's elements, broadcast to `shape`, in the order that an operand lies in. */
  constantInOrder(value: Constant, shape: readonly number[], order: Layout): Float32Array {
    const spread = broadcastData(value, shape);
    const out = new Float32Array(spread.length);
    const { piece, index } = order;
    for (let i = 0; i < index.length; i++)
      for (let j = 0; j < piece; j++) out[index[i] * piece + j] = spread[i * piece + j];
    return out;
  }

  /** Two tensors of one shape as operands of an elementwise node: both in one order. */
  together(a: Lowered, b: Lowered, exprA: Expr, exprB: Expr): { a: string; b: string; order: Layout } {
    const [pa, pb] = [this.isPermutation(a), this.isPermutation(b)];
    if (pa && pb && sameLayout(a.layout, b.layout)) return { a: a.sources[0], b: b.sources[0], order: a.layout };
    // The result takes the order of the operand that lies in its own, which in a residual stream is the stream.
    const [wa, wb] = [this.whole(a) !== null, this.whole(b) !== null];
    if (wa || (pa && !wb)) return { a: a.sources[0], b: this.#inOrderOf(b, a, exprB), order: a.layout };
    if (wb || pb) return { a: this.#inOrderOf(a, b, exprA), b: b.sources[0], order: b.layout };
    const { x, order } = this.#naturalOrder(a, exprA);
    const like = { shape: a.shape, sources: [x], layout: order };
    return { a: x, b: this.#inOrderOf(b, like, exprB), order };
  }

  /** `x` rearranged so that it lies as the source of the permutation `like` does. */
  #inOrderOf(x: Lowered, like: Lowered, expr: Expr): string {
    const moved = this.whole(like) !== null ? x : this.rearranged(x, invert(like.layout), x.shape);
    return this.inOrder(moved, this.node(like.sources[0]).cols, expr);
  }

  #recognisedView(expr: ViewExpr): Lowered | null {
    for (const lowering of this.lowerings) {
      const lowered = lowering.takesViews && lowering.lower?.(expr, this);
      if (lowered) return lowered;
    }
    return null;
  }

  #view(expr: ViewExpr): Lowered {
    const parts = expr.sources.map((source) => this.lower(source));
    return this.joined(parts, expr.layout, expr.shape);
  }

  /** A rearrangement of several tensors laid end to end. */
  joined(tensors: readonly Lowered[], layout: Layout, shape: readonly number[]): Lowered {
    const sources: string[] = [];
    const starts = new Map<string, number>();
    let end = 0;
    const parts = tensors.map((inner) => {
      for (const id of inner.sources)
        if (!starts.has(id)) {
          starts.set(id, end);
          sources.push(id);
          end += this.sizeOf(id);
        }
      return {
        layout: inner.layout,
        sizes: inner.sources.map((id) => this.sizeOf(id)),
        starts: inner.sources.map((id) => starts.get(id)!),
      };
    });
    const composed = coarsen(
      compose(layout, parts),
      sources.map((id) => this.sizeOf(id)),
    );
    return { shape, sources, layout: composed };
  }

  /** The pixels themselves, by a convolution that copies them: for whatever does not begin with patches. */
  #pixels(expr: ImageExpr): Lowered {
    const [, channels, height, width] = expr.shape;
    const rows = height * width;
    const weight = Float32Array.from({ length: channels ** 2 }, (_, i) => (i % (channels + 1) === 0 ? 1 : 0));
    const node = {
      ...{ op: 'patchEmbed' as const, rows, cols: channels, weight, bias: new Float32Array(channels) },
      ...{ kernel: [1, 1] as const, stride: [1, 1] as const, pads: [0, 0, 0, 0] as const, dilation: [1, 1] as const },
      outSize: [height, width] as const,
    };
    return this.emit(expr, node, [], expr.shape, permute([rows, channels], [1, 0]));
  }

  #constant(expr: ConstantExpr): Lowered {
    const cols = expr.shape.at(-1) ?? 1;
    const size = sizeOf(expr.shape);
    const value = Float32Array.from(expr.value.data);
    return this.emit(expr, { op: 'constant', rows: size / cols, cols, value }, [expr], expr.shape);
  }
}

/** Of what is cut from the image itself an idiom makes patches. */
const isOfImage = (view: ViewExpr): boolean => view.sources.every((source) => isOfPixels(source));

const isOfPixels = (expr: Expr): boolean =>
  expr.op === 'image' || ((expr.op === 'add' || expr.op === 'mul') && isOfPixels(expr.inputs[0]));

function notMatched({ op }: Expr): [reason: string, remedy: string] {
  if (op === 'where' || isComparison(op) || isStep(op))
    return [
      'what is read or hidden depends on a threshold of what the network computes',
      'one step of an integer beside the threshold would change the result: export the scores before it ' +
        '(docs/models.md says what is refused)',
    ];
  return [
    `“${op}” is used in a way that is not known`,
    'the architecture is not supported as it is: docs/models.md says which are. If a tool optimised or ' +
      'converted the file, give the one that it was made from',
  ];
}

/** Weights must be numbers: infinities mean that the model is damaged. */
function checkFinite(node: GraphNode, expr: Expr): void {
  for (const [field, value] of Object.entries(node)) {
    if (!(value instanceof Float32Array)) continue;
    for (let i = 0; i < value.length; i++)
      if (!Number.isFinite(value[i])) {
        const where = expr.origin ? ` of node ${JSON.stringify(expr.origin.name || expr.origin.outputs[0])}` : '';
        throw new InputError(
          `the ${field}${where} (${node.op}) holds ${value[i]}: the model is damaged or training diverged`,
        );
      }
  }
}
