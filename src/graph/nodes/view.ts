import type { OnnxWriter } from '../onnx-writer.js';

/**
 * Where attention reads one of its operands: the d channels of head h of token i of batch entry w lie at row
 * `rows[w·n + i]` (or row w·n + i where `rows` is null), columns `offset + h·headStride …`, the source's buffer being
 * re-read in rows of `stride` elements. `stride` is the source's `cols` but for norms per head, whose rows are
 * narrower.
 */
export interface AttentionView {
  readonly source: string;
  readonly stride: number;
  readonly rows: Int32Array | null;
  readonly offset: number;
  readonly headStride: number;
}

/** Where the channels of head h of a token, counted over all windows, begin in a view's source. */
export function viewStart(view: AttentionView, token: number, h: number): number {
  return (view.rows === null ? token : view.rows[token]) * view.stride + view.offset + h * view.headStride;
}

/** The source's rows behind so many tokens of a view; null: all. */
export function viewRows({ rows }: AttentionView, count: number, wanted: Int32Array | null): ArrayLike<number> | null {
  if (rows === null) return wanted;
  if (wanted === null) return rows.length >= count ? rows : null;
  return wanted.map((i) => rows[i]);
}

/**
 * Writes what a view reads as a tensor [batch, tokens, heads, dim].
 *
 * @param label what the names of its steps begin with
 * @returns the tensor's name
 */
export function writeView(
  writer: OnnxWriter,
  view: AttentionView,
  shape: readonly [batch: number, tokens: number, heads: number, dim: number],
  label: string,
): string {
  const [, , heads, dim] = shape;
  const { stride, offset, headStride } = view;
  const rows = writer.sizeOf(view.source) / stride;
  let x = writer.as(view.source, rows, stride);
  if (view.rows) x = writer.op('Gather', [x, writer.integers(view.rows)], `${label}.rows`, { axis: 0 });
  if (headStride === dim || heads === 1) {
    if (heads * dim < stride) x = writer.slice(x, 1, offset, offset + heads * dim, `${label}.columns`);
  } else {
    const columns = Int32Array.from(
      { length: heads * dim },
      (_, i) => offset + Math.floor(i / dim) * headStride + (i % dim),
    );
    x = writer.op('Gather', [x, writer.integers(columns)], `${label}.columns`, { axis: 1 });
  }
  return writer.reshape(x, shape, `${label}.split`);
}
