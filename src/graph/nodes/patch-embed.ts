import { channelsFirst } from '../onnx-writer.js';
import { readsNothing, type NodeBase, type NodeDefinition } from './definition.js';

/** Convolution over the (normalised float) image: always reads the graph input. y[oh·ow, N]. */
export interface PatchEmbedNode extends NodeBase {
  readonly op: 'patchEmbed';
  /** [N, kh, kw, c] row-major (channels last, as the pixels lie). */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** top, left, bottom, right; padding holds normalised zeros. */
  readonly pads: readonly [number, number, number, number];
  readonly dilation: readonly [number, number];
  readonly outSize: readonly [number, number];
}

export const patchEmbed: NodeDefinition<PatchEmbedNode> = {
  ...readsNothing,
  evaluate(node, _read, image) {
    const { rows, cols, weight, bias, kernel, stride, pads, dilation, outSize } = node;
    const { channels, height, width } = image;
    const [kh, kw] = kernel;
    const out = new Float32Array(rows * cols);
    for (let p = 0; p < rows; p++)
      for (let n = 0; n < cols; n++) {
        let sum = bias[n];
        for (let tap = 0; tap < kh * kw; tap++) {
          const y = Math.floor(p / outSize[1]) * stride[0] - pads[0] + Math.floor(tap / kw) * dilation[0];
          const x = (p % outSize[1]) * stride[1] - pads[1] + (tap % kw) * dilation[1];
          if (y < 0 || y >= height || x < 0 || x >= width) continue;
          for (let c = 0; c < channels; c++)
            sum += image.data[(c * height + y) * width + x] * weight[(n * kh * kw + tap) * channels + c];
        }
        out[p * cols + n] = sum;
      }
    return out;
  },
  toOnnx(node, writer) {
    const { id, rows, cols, kernel } = node;
    const { name, channels } = writer.input;
    const taps = kernel[0] * kernel[1];
    const ordered = channelsFirst(node.weight, cols, taps, channels);
    const weight = writer.floats(id, 'weight', [cols, channels, ...kernel], ordered);
    const bias = writer.floats(id, 'bias', [cols], node.bias);
    const conv = writer.op('Conv', [name, weight, bias], `${id}//conv`, {
      kernel_shape: kernel,
      strides: node.stride,
      pads: node.pads,
      dilations: node.dilation,
    });
    writer.op('Transpose', [writer.reshape(conv, [cols, rows])], id, { perm: [1, 0] });
  },
  describe: ({ rows, kernel, weight, bias }) => ({
    detail: kernel.join('×'),
    parameters: weight.length + bias.length,
    macs: rows * weight.length,
  }),
  rowsRead: () => null,
};
