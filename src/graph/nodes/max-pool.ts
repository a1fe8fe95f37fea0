import { tapCount, tapRows, windowAttributes, type Geometry } from '../geometry.js';
import { readsX, type NodeBase, type NodeDefinition } from './definition.js';
import { mapOfChannels, pixelsOfMap } from './maps.js';
import { describeWindows, mapRows } from './windows.js';

/** The largest of every window's pixels inside of the map, of which each has one: y[oh·ow, C] from x[H·W, C]. */
export interface MaxPoolNode extends NodeBase {
  readonly op: 'maxPool';
  readonly x: string;
  readonly geometry: Geometry;
}

export const maxPool: NodeDefinition<MaxPoolNode> = {
  ...readsX,
  evaluate({ rows, cols, x, geometry }, read) {
    const input = read(x);
    const taps = tapCount(geometry);
    const out = new Float32Array(rows * cols).fill(-Infinity);
    tapRows(geometry).forEach((from, i) => {
      if (from < 0) return;
      const row = Math.floor(i / taps);
      for (let c = 0; c < cols; c++) out[row * cols + c] = Math.max(out[row * cols + c], input[from * cols + c]);
    });
    return out;
  },
  toOnnx({ id, rows, cols, x, geometry }, writer) {
    const { kernel, size } = geometry;
    // Of a whole map, or of rows that follow each other: ONNX Runtime's MaxPool refuses pads as large as the kernel.
    if (rows === 1 && kernel[0] === size[0] && kernel[1] === size[1])
      return void writer.op('ReduceMax', [writer.as(x, size[0] * size[1], cols)], id, { axes: [0] });
    const map = mapOfChannels(writer, id, x, geometry, cols);
    const pool = writer.op('MaxPool', [map], `${id}//pool`, windowAttributes(geometry));
    pixelsOfMap(writer, id, pool, geometry, cols);
  },
  describe: ({ geometry }) => ({ detail: describeWindows(geometry) }),
  rowsRead: mapRows,
};
