/**
 * A model whose file fixes a batch above one, as the model of one image. Every tensor is followed along its batch axis:
 * where no operation mixes images, the part of the first image is the model.
 */
import { coarsen } from '../graph/layout.js';
import { broadcastData, sizeOf } from './constant.js';
import type { ExprBuilder } from './expr-builder.js';
import {
  isConstant,
  type Attributes,
  type ConstantExpr,
  type Expr,
  type OperationExpr,
  type ViewExpr,
} from './expr.js';
import { problemAt, UnsupportedModelError } from './problems.js';

/** How a tensor holds the images: along an axis, `step` positions of one, then of the next, and so on in turn. */
interface Lie {
  readonly axis: number;
  readonly step: number;
  /**
   * Of scores [..., queries, keys] of all tokens of all images, which lie along both axes: whether a mask hides those
   * of other images. The part is what the first image's queries have with its own keys.
   */
  readonly scores?: 'open' | 'hidden';
}

/** A tensor's part of the first image. */
interface Part {
  readonly expr: Expr;
  /** How the images lie in the whole tensor; null: it is the same for all. */
  readonly lie: Lie | null;
}

export class OneImage {
  readonly #parts = new Map<Expr, Part>();

  /** @param batch how many images the file takes */
  constructor(
    private readonly builder: ExprBuilder,
    private readonly batch: number,
  ) {}

  /** @throws {UnsupportedModelError} naming the node that mixes images */
  of(expr: Expr): Expr {
    return this.#part(expr).expr;
  }

  #part(expr: Expr): Part {
    let part = this.#parts.get(expr);
    if (!part) this.#parts.set(expr, (part = this.#make(expr)));
    return part;
  }

  #make(expr: Expr): Part {
    switch (expr.op) {
      case 'constant':
        return { expr, lie: null };
      case 'image':
        return { expr: { ...expr, shape: [1, ...expr.shape.slice(1)] }, lie: { axis: 0, step: 1 } };
      case 'view':
        return this.#view(expr);
      case 'sequence':
        throw mixed(expr);
      default:
        return this.#operation(expr);
    }
  }

  #operation(expr: OperationExpr): Part {
    const parts = expr.inputs.map((input) => this.#part(input));
    const rank = expr.shape.length;
    const lies = parts.flatMap(({ lie }, i) =>
      lie === null ? [] : [{ axis: lie.axis + rank - expr.inputs[i].shape.length, step: lie.step }],
    );
    if (lies.length === 0) return { expr, lie: null };
    const ofScores = this.#scores(expr, parts);
    if (ofScores) return ofScores;
    const [{ axis, step }] = lies;
    const isMixed = lies.some((other) => other.axis !== axis || other.step !== step);
    if (isMixed || parts.some((part, i) => this.#mixes(expr, part, i))) throw mixed(expr);
    const shape = this.#shape(expr.shape, axis);
    const inputs = parts.map((part, i) => this.#aligned(expr, part, i, { axis, step }));
    // What slides over images one after the other makes more or fewer rows of each.
    const lie = { axis, step: isSliding(expr.op) ? shape[axis] : step };
    return { expr: { ...expr, inputs, shape, attributes: this.#attributes(expr.attributes) }, lie };
  }

  /**
   * Attention over the tokens of all images, laid end to end, where a mask hides those of other images: a product of
   * queries and keys, what is done to it, and its product with the values. Null where it is something else.
   *
   * @throws {UnsupportedModelError} where scores of different images count
   */
  #scores(expr: OperationExpr, parts: readonly Part[]): Part | null {
    const { op, shape } = expr;
    const rank = shape.length;
    const [a, b] = parts.map(({ lie }, i) => lie && { ...lie, fromEnd: lie.axis - expr.inputs[i].shape.length });
    const both = [...shape.slice(0, -2), ...shape.slice(-2).map((dim) => dim / this.batch)];
    const isOfAll = op === 'matmul' && a?.fromEnd === -2 && b?.fromEnd === -1 && a.step === b.step;
    const made = (lie: Lie, of: readonly number[], inputs = parts.map((part) => part.expr)): Part => ({
      expr: { ...expr, inputs, shape: of },
      lie,
    });
    if (isOfAll && !a.scores && !b.scores) return made({ axis: rank - 2, step: a.step, scores: 'open' }, both);
    if (!a?.scores) {
      if (b?.scores) throw mixed(expr);
      return null;
    }
    const { step, scores } = a;
    const lie = { axis: rank - 2, step, scores };
    if (op === 'softmax' && scores === 'hidden') return made(lie, both);
    if (op === 'matmul' && scores === 'hidden' && b?.fromEnd === -2 && b.step === step && !b.scores)
      return made({ axis: rank - 2, step }, this.#shape(shape, rank - 2));
    const constant = parts.length === 2 && isConstant(expr.inputs[1]) ? expr.inputs[1] : null;
    if (constant === null || sizeOf(expr.inputs[0].shape) !== sizeOf(shape)) throw mixed(expr);
    if (op === 'mul' && constant.value.uniform !== null) return made(lie, both);
    if (op !== 'add') throw mixed(expr);
    const isHidden = scores === 'hidden' || this.#hidesOthers(constant, shape, step);
    const own = constant.shape.map((dim, i) =>
      i - constant.shape.length >= -2 && dim > 1 ? this.#positions(dim, step) : null,
    );
    const inputs = [parts[0].expr, this.builder.take(constant, own)];
    return made({ ...lie, scores: isHidden ? 'hidden' : 'open' }, both, inputs);
  }

  /** Whether what is added to scores of this shape hides those of different images. */
  #hidesOthers({ value }: ConstantExpr, shape: readonly number[], step: number): boolean {
    const [queries, keys] = shape.slice(-2);
    this.builder.budget.make(sizeOf(shape));
    const imageOf = (at: number): number => Math.floor(at / step) % this.batch;
    return broadcastData(value, shape).every((added, i) => {
      const isOwn = imageOf(i % keys) === imageOf(Math.floor(i / keys) % queries);
      return isOwn || added <= HIDDEN;
    });
  }

  /** Whether an operation computes across the batch axis of an operand. */
  #mixes({ op, attributes, inputs }: OperationExpr, { lie }: Part, operand: number): boolean {
    if (lie === null) return false;
    const { axis, step } = lie;
    const fromEnd = axis - inputs[operand].shape.length;
    switch (op) {
      case 'softmax':
      case 'normalize':
        return fromEnd === -1;
      case 'matmul':
        return operand === 0 ? fromEnd === -1 : fromEnd >= -2;
      case 'conv':
        return axis !== 0 || operand !== 0;
      case 'maxPool':
      case 'mixRows':
        return axis !== 0 || step * this.batch !== inputs[0].shape[0] || !this.#isApart({ attributes, inputs });
      default:
        return attributes.axes?.includes(axis) ?? false;
    }
  }

  /** Whether windows, or sums of rows, keep to the rows of their own image: those of the first do. */
  #isApart({ attributes: { geometry, mix }, inputs }: Pick<OperationExpr, 'attributes' | 'inputs'>): boolean {
    if (geometry) return geometry.size[0] % this.batch === 0 && geometry.outSize[0] % this.batch === 0;
    const count = mix!.index.length / this.batch;
    const rows = inputs[0].shape[0] / this.batch;
    return mix!.index.every((from, i) => from < 0 || Math.floor(from / rows) === Math.floor(i / count));
  }

  /** What windows and sums of rows are for the first image alone. */
  #attributes({ geometry, mix, ...rest }: Attributes): Attributes {
    const first = (of: readonly [number, number]): [number, number] => [of[0] / this.batch, of[1]];
    return {
      ...rest,
      ...(geometry && { geometry: { ...geometry, size: first(geometry.size), outSize: first(geometry.outSize) } }),
      ...(mix && {
        mix: {
          taps: mix.taps,
          index: mix.index.slice(0, mix.index.length / this.batch),
          factors: mix.factors.slice(0, mix.factors.length / this.batch),
        },
      }),
    };
  }

  /** An operand, cut to the first image where it is a constant that has an entry for each. */
  #aligned(expr: OperationExpr, part: Part, operand: number, { axis, step }: Lie): Expr {
    const { shape } = expr.inputs[operand];
    const own = axis - expr.shape.length + shape.length;
    if (part.lie !== null || own < 0 || (shape[own] ?? 1) === 1 || expr.op === 'conv') return part.expr;
    if (expr.op === 'matmul' && own >= shape.length - 2) return part.expr;
    return this.builder.take(
      part.expr,
      shape.map((dim, at) => (at === own ? this.#positions(dim, step) : null)),
    );
  }

  /** Where along an axis the first image lies. */
  #positions(length: number, step: number): Int32Array {
    return Int32Array.from(
      { length: length / this.batch },
      (_, i) => Math.floor(i / step) * step * this.batch + (i % step),
    );
  }

  #shape(shape: readonly number[], axis: number): number[] {
    return shape.map((dim, at) => (at === axis ? dim / this.batch : dim));
  }

  #view(expr: ViewExpr): Part {
    const parts = expr.sources.map((source) => this.#part(source));
    if (parts.some(({ lie }) => lie?.scores)) throw mixed(expr);
    const sizes = parts.map((part) => sizeOf(part.expr.shape));
    const places = this.#places(expr, parts, sizes);
    const lie = this.#lieOf(expr, places.image);
    if (lie === null) {
      if (places.image.some((image) => image >= 0)) throw mixed(expr);
      return { expr, lie: null };
    }
    const shape = this.#shape(expr.shape, lie.axis);
    const inner = sizeOf(expr.shape.slice(lie.axis + 1)) * lie.step;
    const index = Int32Array.from({ length: sizeOf(shape) }, (_, i) => {
      return places.place[Math.floor(i / inner) * inner * this.batch + (i % inner)];
    });
    const sources = parts.map((part) => part.expr);
    const layout = coarsen({ piece: 1, index }, sizes);
    return { expr: { ...expr, sources, layout, shape, broadcastOf: null }, lie };
  }

  /** Of each element of a view: the image it is of (−1: none), and its place in the first image's sources. */
  #places(
    { sources, layout, shape }: ViewExpr,
    parts: readonly Part[],
    sizes: readonly number[],
  ): { image: Int32Array; place: Int32Array } {
    const total = sources.reduce((sum, source) => sum + sizeOf(source.shape), 0);
    const imageOf = new Int32Array(total).fill(-1);
    const placeOf = new Int32Array(total);
    let start = 0;
    let kept = 0;
    sources.forEach((source, k) => {
      const { lie } = parts[k];
      const size = sizeOf(source.shape);
      const inner = lie === null ? size : sizeOf(source.shape.slice(lie.axis + 1)) * lie.step;
      for (let i = 0; i < size; i++) {
        if (lie !== null) imageOf[start + i] = Math.floor(i / inner) % this.batch;
        const outer = lie === null ? 0 : Math.floor(i / (inner * this.batch));
        placeOf[start + i] = kept + outer * inner + (i % inner);
      }
      start += size;
      kept += sizes[k];
    });
    const image = new Int32Array(sizeOf(shape)).fill(-1);
    const place = new Int32Array(image.length).fill(-1);
    layout.index.forEach((from, p) => {
      for (let j = 0; from >= 0 && j < layout.piece; j++) {
        image[p * layout.piece + j] = imageOf[from * layout.piece + j];
        place[p * layout.piece + j] = placeOf[from * layout.piece + j];
      }
    });
    return { image, place };
  }

  /** How a view's elements go from image to image; null where it is in no such way. */
  #lieOf({ shape }: ViewExpr, image: Int32Array): Lie | null {
    if (image.every((one) => one < 0)) return null;
    for (const [axis, dim] of shape.entries()) {
      if (dim % this.batch !== 0) continue;
      const after = sizeOf(shape.slice(axis + 1));
      // One image after the other, or in turn, as torch's attention has them: [tokens·batch, channels].
      for (let step = dim / this.batch; step >= 1; step--) {
        if ((dim / this.batch) % step !== 0) continue;
        const inner = after * step;
        if (image.every((one, i) => one < 0 || one === Math.floor(i / inner) % this.batch)) return { axis, step };
      }
    }
    return null;
  }
}

/** Added to a score, it leaves nothing of its weight: 0 in float32 after any softmax. */
const HIDDEN = -1e4;

const isSliding = (op: OperationExpr['op']): boolean => op === 'maxPool' || op === 'mixRows';

const mixed = (expr: Expr): UnsupportedModelError =>
  new UnsupportedModelError([
    problemAt(
      expr.origin,
      'the images of the fixed batch are computed with each other',
      'export the model with batch 1 or a dynamic batch',
    ),
  ]);
