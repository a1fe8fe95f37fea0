import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/** Every row a weighted sum of `taps` rows: average pooling and resizing; y[rows, C] from x[R, C]. */
export interface MixRowsNode extends NodeBase {
  readonly op: 'mixRows';
  readonly x: string;
  readonly taps: number;
  /** [rows, taps]: the row of x; −1: none. */
  readonly index: Int32Array;
  /** [rows, taps]. */
  readonly factors: Float32Array;
}

export const mixRows: NodeDefinition<MixRowsNode> = {
  ...readsX,
  evaluate({ rows, cols, x, taps, index, factors }, read) {
    const input = read(x);
    const sums = new Float64Array(rows * cols);
    index.forEach((from, i) => {
      if (from < 0) return;
      const to = Math.floor(i / taps) * cols;
      for (let c = 0; c < cols; c++) sums[to + c] += factors[i] * input[from * cols + c];
    });
    return Float32Array.from(sums);
  },
  toOnnx({ id, rows, cols, x, taps, index, factors }, writer) {
    const source = writer.as(x, writer.sizeOf(x) / cols, cols);
    // One tap after the other: all at once would be as many copies of the map.
    let sum: string | null = null;
    for (let t = 0; t < taps; t++) {
      const at = Int32Array.from({ length: rows }, (_, r) => Math.max(0, index[r * taps + t]));
      const column = Float32Array.from({ length: rows }, (_, r) =>
        index[r * taps + t] < 0 ? 0 : factors[r * taps + t],
      );
      const taken = writer.op('Gather', [source, writer.integers(at)], `${id}//taken${t}`, { axis: 0 });
      const last = t === taps - 1;
      const scale = writer.floats(id, `factor${t}`, [rows, 1], column);
      const product: string = writer.op('Mul', [taken, scale], last && sum === null ? id : `${id}//product${t}`);
      sum = sum === null ? product : writer.op('Add', [sum, product], last ? id : `${id}//sum${t}`);
    }
  },
  describe: ({ taps }) => ({ detail: `of ${taps}` }),
  rowsRead({ taps, index, cols }, operand, wanted) {
    if (operand.cols !== cols) return null;
    const rows = new Set<number>();
    index.forEach((from, i) => {
      if (from >= 0 && (wanted === null || isIn(wanted, Math.floor(i / taps)))) rows.add(from);
    });
    return [...rows];
  },
};

/** Whether an ascending list has a value. */
function isIn(sorted: Int32Array, value: number): boolean {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === value;
}
