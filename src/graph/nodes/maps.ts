/** How nodes over maps write themselves as ONNX operators, which want channels first. */
import type { Geometry } from '../geometry.js';
import type { OnnxWriter } from '../onnx-writer.js';

/** The value x [H·W, C] as [1, C, H, W]. */
export function mapOfChannels(writer: OnnxWriter, id: string, x: string, { size }: Geometry, channels: number): string {
  const pixels = writer.reshape(x, [1, ...size, channels], `${id}//pixels`);
  return writer.op('Transpose', [pixels], `${id}//map`, { perm: [0, 3, 1, 2] });
}

/** The first windows of `map` [1, C, at least oh, at least ow], as the node's value [oh·ow, C]. */
export function pixelsOfMap(
  writer: OnnxWriter,
  id: string,
  map: string,
  { outSize }: Geometry,
  channels: number,
): void {
  const rows = writer.slice(map, 2, 0, outSize[0], `${id}//rows`);
  const cut = writer.slice(rows, 3, 0, outSize[1], `${id}//cut`);
  const pixels = writer.op('Transpose', [cut], `${id}//last`, { perm: [0, 2, 3, 1] });
  writer.reshape(pixels, [outSize[0] * outSize[1], channels], id);
}
