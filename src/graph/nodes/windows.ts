import { reachesOutside, rowsBehind, tapCount, tapRows, type Geometry } from '../geometry.js';
import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/**
 * The windows of a map, one a row: y[oh·ow, kh·kw·C] in (ky, kx, channel) order from x[H·W, C]; zeros outside. A
 * convolution is this and a linear layer.
 */
export interface WindowsNode extends NodeBase {
  readonly op: 'windows';
  readonly x: string;
  readonly geometry: Geometry;
}

export const windows: NodeDefinition<WindowsNode> = {
  ...readsX,
  evaluate({ rows, cols, x, geometry }, read) {
    const input = read(x);
    const channels = cols / tapCount(geometry);
    const out = new Float32Array(rows * cols);
    tapRows(geometry).forEach((from, i) => {
      if (from >= 0) out.set(input.subarray(from * channels, (from + 1) * channels), i * channels);
    });
    return out;
  },
  toOnnx({ id, rows, cols, x, geometry }, writer) {
    const channels = cols / tapCount(geometry);
    const count = writer.sizeOf(x) / channels;
    let pixels = writer.as(x, count, channels);
    if (reachesOutside(geometry)) {
      const zeros = writer.floats(id, 'zeros', [1, channels], new Float32Array(channels));
      pixels = writer.op('Concat', [pixels, zeros], `${id}//padded`, { axis: 0 });
    }
    const index = tapRows(geometry).map((from) => (from < 0 ? count : from));
    const taken = writer.op('Gather', [pixels, writer.integers(index)], `${id}//taps`, { axis: 0 });
    writer.reshape(taken, [rows, cols], id);
  },
  describe: ({ geometry }) => ({ detail: describeWindows(geometry) }),
  rowsRead: mapRows,
};

/** A kernel's size, and its stride and dilation where they are not one. */
export function describeWindows({ kernel, stride, dilation }: Geometry): string {
  const pair = (of: readonly number[]): string => (of[0] === of[1] ? String(of[0]) : of.join('×'));
  const isOne = (of: readonly number[]): boolean => of.every((n) => n === 1);
  const steps = isOne(stride) ? '' : `, stride ${pair(stride)}`;
  return `${kernel.join('×')}${steps}${isOne(dilation) ? '' : `, dilation ${pair(dilation)}`}`;
}

/** Rows of the map behind the windows wanted; all where the map lies in rows of another length. */
export function mapRows(
  { geometry }: { readonly geometry: Geometry },
  operand: NodeBase,
  wanted: Int32Array | null,
): readonly number[] | null {
  return operand.rows === geometry.size[0] * geometry.size[1] ? rowsBehind(geometry, wanted) : null;
}
