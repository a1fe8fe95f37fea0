/** Elements of a tensor of this shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

/**
 * An exact rearrangement: piece i of the result, `piece` successive elements, is piece `index[i]` of the sources laid
 * end to end, or zeros where it is −1. Every source's size is a multiple of `piece`.
 */
export interface Layout {
  readonly piece: number;
  readonly index: Int32Array;
}

/** No rearrangement of a Vision Transformer's activations has more pieces; more is a damaged or hostile file. */
const MAX_PIECES = 2 ** 25;

function newIndex(length: number): Int32Array<ArrayBuffer> {
  if (!(length <= MAX_PIECES)) throw new RangeError(`a rearrangement of ${length} pieces is too large`);
  return new Int32Array(length);
}

export const layoutSize = (layout: Layout): number => layout.piece * layout.index.length;

export const gcd = (a: number, b: number): number => {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
};

export const identityLayout = (size: number): Layout => ({
  piece: Math.max(1, size),
  index: new Int32Array(size > 0 ? 1 : 0),
});

/** True where the result is the one source, of `size` elements, as it lies. */
export const isIdentity = (layout: Layout, size: number): boolean =>
  layoutSize(layout) === size && layout.index.every((from, i) => from === i);

/** The same rearrangement in smaller pieces; `piece` divides the present one. */
export function refine(layout: Layout, piece: number): Layout {
  const parts = layout.piece / piece;
  if (parts === 1) return layout;
  const index = newIndex(layout.index.length * parts);
  for (let i = 0, at = 0; i < layout.index.length; i++) {
    const from = layout.index[i];
    for (let j = 0; j < parts; j++) index[at++] = from < 0 ? -1 : from * parts + j;
  }
  return { piece, index };
}

/** The same rearrangement in the largest pieces that its runs, and the sizes of its sources, allow. */
export function coarsen(layout: Layout, sourceSizes: readonly number[]): Layout {
  const { index, piece } = layout;
  if (index.length === 0) return layout;
  let common = index.length;
  for (const size of sourceSizes) common = gcd(common, size / piece);
  for (let i = 0; i < index.length && common > 1; i++) {
    const runs = i > 0 && (index[i] < 0 ? index[i - 1] < 0 : index[i - 1] >= 0 && index[i] === index[i - 1] + 1);
    if (runs) continue;
    common = gcd(common, i);
    if (index[i] >= 0) common = gcd(common, index[i]);
  }
  if (common === 1) return layout;
  const coarse = new Int32Array(index.length / common);
  for (let i = 0; i < coarse.length; i++) coarse[i] = index[i * common] < 0 ? -1 : index[i * common] / common;
  return { piece: piece * common, index: coarse };
}

/** Transpose: axis i of the result is axis `perm[i]` of a tensor of the given shape. */
export function permute(shape: readonly number[], perm: readonly number[]): Layout {
  let kept = perm.length;
  while (kept > 0 && perm[kept - 1] === kept - 1) kept--;
  const piece = sizeOf(shape.slice(kept));
  const strides = stridesOf(shape.slice(0, kept));
  return strided(
    perm.slice(0, kept).map((axis) => shape[axis]),
    perm.slice(0, kept).map((axis) => strides[axis]),
    piece,
  );
}

function strided(shape: readonly number[], strides: readonly number[], piece: number): Layout {
  const index = newIndex(sizeOf(shape));
  let filled = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    for (let k = 1; k < shape[axis]; k++)
      for (let i = 0; i < filled; i++) index[k * filled + i] = index[i] + k * strides[axis];
    filled *= shape[axis];
  }
  return { piece: Math.max(1, piece), index: piece === 0 ? new Int32Array(0) : index };
}

export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/**
 * Slice, Gather, Pad, roll, Expand: along each axis the listed positions, −1 standing for zeros; null keeps the axis.
 */
export function take(shape: readonly number[], picks: readonly (ArrayLike<number> | null)[]): Layout {
  let kept = shape.length;
  while (kept > 0 && picks[kept - 1] === null) kept--;
  const piece = sizeOf(shape.slice(kept));
  const strides = stridesOf(shape.slice(0, kept));
  let index = new Int32Array(1);
  for (let axis = 0; axis < kept; axis++) {
    const pick = picks[axis];
    const count = pick ? pick.length : shape[axis];
    const next = newIndex(index.length * count);
    for (let i = 0, at = 0; i < index.length; i++)
      for (let k = 0; k < count; k++) {
        const position = pick ? pick[k] : k;
        next[at++] = index[i] < 0 || position < 0 ? -1 : index[i] + position * strides[axis];
      }
    index = next;
  }
  return { piece: Math.max(1, piece), index: piece === 0 ? new Int32Array(0) : index };
}

/** Concat of tensors with the given shapes along an axis. */
export function concatenate(shapes: readonly (readonly number[])[], axis: number): Layout {
  const runs = shapes.map((shape) => sizeOf(shape.slice(axis)));
  const piece = runs.reduce(gcd, 0) || 1;
  const outer = sizeOf(shapes[0].slice(0, axis));
  const index = newIndex((runs.reduce((sum, run) => sum + run, 0) * outer) / piece);
  const starts: number[] = [];
  let total = 0;
  for (const run of runs) {
    starts.push(total);
    total += (run * outer) / piece;
  }
  let at = 0;
  for (let i = 0; i < outer; i++)
    for (let k = 0; k < runs.length; k++) {
      const pieces = runs[k] / piece;
      for (let j = 0; j < pieces; j++) index[at++] = starts[k] + i * pieces + j;
    }
  return { piece, index };
}

/** One operand of a rearrangement: itself a rearrangement of some of the final sources. */
export interface Part {
  readonly layout: Layout;
  /** Sizes of the sources that `layout` reads, in its own order. */
  readonly sizes: readonly number[];
  /** For each of them, where it starts in the final sources laid end to end. */
  readonly starts: readonly number[];
}

/** `outer` over the results of `parts`, written as one rearrangement of the final sources. */
export function compose(outer: Layout, parts: readonly Part[]): Layout {
  let piece = outer.piece;
  for (const part of parts) {
    piece = gcd(piece, part.layout.piece);
    for (const start of part.starts) piece = gcd(piece, start);
  }
  if (parts.length === 1 && parts[0].starts.length === 1) return composeOne(outer, parts[0], piece);
  let length = 0;
  for (const part of parts) length += layoutSize(part.layout) / piece;
  const inner = newIndex(length);
  let at = 0;
  for (const part of parts) {
    const fine = refine(part.layout, piece).index;
    if (part.starts.length === 1) {
      const start = part.starts[0] / piece;
      for (let i = 0; i < fine.length; i++) inner[at++] = fine[i] < 0 ? -1 : fine[i] + start;
      continue;
    }
    const ends: number[] = [];
    let end = 0;
    for (const size of part.sizes) ends.push((end += size / piece));
    const shifts = part.starts.map((start, k) => start / piece - (ends[k] - part.sizes[k] / piece));
    for (let i = 0; i < fine.length; i++) {
      let k = 0;
      while (fine[i] >= ends[k]) k++;
      inner[at++] = fine[i] < 0 ? -1 : fine[i] + shifts[k];
    }
  }
  const fine = refine(outer, piece).index;
  const index = new Int32Array(fine.length);
  for (let i = 0; i < fine.length; i++) index[i] = fine[i] < 0 ? -1 : inner[fine[i]];
  return { piece, index };
}

/** `compose` of one part that has one source: only what `outer` reads is looked up. */
function composeOne(outer: Layout, { layout, starts: [start] }: Part, piece: number): Layout {
  const [each, shift] = [layout.piece / piece, start / piece];
  const index = refine(outer, piece).index.slice();
  if (each === 1) {
    for (let i = 0; i < index.length; i++) {
      const from = index[i] < 0 ? -1 : layout.index[index[i]];
      index[i] = from < 0 ? -1 : from + shift;
    }
    return { piece, index };
  }
  for (let i = 0; i < index.length; i++) {
    if (index[i] < 0) continue;
    const whole = Math.floor(index[i] / each);
    const from = layout.index[whole];
    index[i] = from < 0 ? -1 : (from - whole) * each + index[i] + shift;
  }
  return { piece, index };
}

/** True where every source element is read exactly once, given the sources' total size. */
export function isBijective(layout: Layout, sourceSize: number): boolean {
  return layoutSize(layout) === sourceSize && isInjective(layout, sourceSize);
}

/** True where no source element is read twice and no zeros are put in. */
export function isInjective(layout: Layout, sourceSize: number): boolean {
  const seen = new Uint8Array(sourceSize / layout.piece);
  for (const from of layout.index) {
    if (from < 0 || seen[from]) return false;
    seen[from] = 1;
  }
  return true;
}

/** The rearrangement that undoes a bijective one. */
export function invert(layout: Layout): Layout {
  const index = new Int32Array(layout.index.length);
  for (let i = 0; i < index.length; i++) index[layout.index[i]] = i;
  return { piece: layout.piece, index };
}

/** The elements that a rearrangement of one source picks. */
export function applyLayout<T extends Float32Array | Float64Array>(layout: Layout, source: T): T {
  const { piece, index } = layout;
  const out = new (source.constructor as new (size: number) => T)(layoutSize(layout));
  if (piece === 1) {
    for (let i = 0; i < index.length; i++) if (index[i] >= 0) out[i] = source[index[i]];
  } else {
    for (let i = 0; i < index.length; i++) {
      if (index[i] < 0) continue;
      const from = index[i] * piece;
      const to = i * piece;
      for (let j = 0; j < piece; j++) out[to + j] = source[from + j];
    }
  }
  return out;
}

export const sameLayout = (a: Layout, b: Layout): boolean =>
  a.piece === b.piece && a.index.length === b.index.length && a.index.every((from, i) => from === b.index[i]);
