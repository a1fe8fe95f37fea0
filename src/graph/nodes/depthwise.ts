import { tapCount, tapRows, windowAttributes, type Geometry } from '../geometry.js';
import { channelsFirst } from '../onnx-writer.js';
import { readsX, type NodeBase, type NodeDefinition } from './definition.js';
import { mapOfChannels, pixelsOfMap } from './maps.js';
import { describeWindows, mapRows } from './windows.js';

/** A convolution of every channel by itself, zeros outside: y[oh·ow, C] from x[H·W, C]. */
export interface DepthwiseNode extends NodeBase {
  readonly op: 'depthwise';
  readonly x: string;
  readonly geometry: Geometry;
  /** [taps, C], taps in (ky, kx) order. */
  readonly weight: Float32Array;
  /** [C], zeros where the model has none. */
  readonly bias: Float32Array;
}

export const depthwise: NodeDefinition<DepthwiseNode> = {
  ...readsX,
  evaluate({ rows, cols, x, geometry, weight, bias }, read) {
    const input = read(x);
    const taps = tapCount(geometry);
    const sums = Float64Array.from({ length: rows * cols }, (_, i) => bias[i % cols]);
    tapRows(geometry).forEach((from, i) => {
      if (from < 0) return;
      const [row, tap] = [Math.floor(i / taps), i % taps];
      for (let c = 0; c < cols; c++) sums[row * cols + c] += weight[tap * cols + c] * input[from * cols + c];
    });
    return Float32Array.from(sums);
  },
  toOnnx({ id, cols, x, geometry, weight, bias }, writer) {
    const { kernel } = geometry;
    const filters = writer.floats(
      id,
      'weight',
      [cols, 1, ...kernel],
      channelsFirst(weight, 1, tapCount(geometry), cols),
    );
    const map = mapOfChannels(writer, id, x, geometry, cols);
    const conv = writer.op('Conv', [map, filters, writer.floats(id, 'bias', [cols], bias)], `${id}//conv`, {
      ...windowAttributes(geometry),
      group: cols,
    });
    pixelsOfMap(writer, id, conv, geometry, cols);
  },
  describe: ({ rows, geometry, weight, bias }) => ({
    detail: describeWindows(geometry),
    parameters: weight.length + bias.length,
    macs: rows * weight.length,
  }),
  rowsRead: mapRows,
};
