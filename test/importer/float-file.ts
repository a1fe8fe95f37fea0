import ort from 'onnxruntime-node';
import { expect } from 'vitest';
import { evaluateGraph, importModel, type ImportedModel } from '../../src/importer/index.js';
import { outputOf } from '../../src/metrics/output.js';
import { applyTail } from '../../src/metrics/tail.js';
import { noise } from '../onnx/build.js';

/**
 * Imports a file and checks that its canonical graph computes every output, of a random image, as ONNX Runtime does
 * from `feeds`.
 * @param feeds the file's inputs, of the image's values of 0 to 255, [channels, height, width]
 */
export async function importAndRun(
  file: string,
  feeds: (image: Float32Array, shape: readonly [number, number, number]) => Record<string, ort.Tensor>,
): Promise<ImportedModel> {
  const imported = await importModel(file);
  const { channels, height, width, isInteger } = imported.graph.input;
  const image = noise(channels * height * width, 11).map((value) => Math.round(127.5 + 127.5 * value));
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4 });
  const results = await session.run(feeds(image, [channels, height, width]));
  const actual = evaluateGraph(
    imported.graph,
    image.map((value) => (isInteger ? value / 255 : value / 64 - 2)),
  );
  for (const output of imported.graph.outputs) {
    const reals = { shape: output.shape, values: Float64Array.from(outputOf(actual, output)) };
    const { values } = applyTail(reals, output.tail);
    const expected = Array.from(results[output.name].data as Float32Array, Number);
    expect(values.length).toBe(expected.length);
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (let i = 0; i < expected.length; i++)
      expect(Math.abs(values[i] - expected[i])).toBeLessThanOrEqual(1e-4 * largest);
  }
  return imported;
}

type Shape = readonly [channels: number, height: number, width: number];

/** The image as a float tensor [1, channels, height, width]. */
export const planar = (image: Float32Array, shape: Shape): ort.Tensor =>
  new ort.Tensor(
    'float32',
    image.map((value) => value / 64 - 2),
    [1, ...shape],
  );

/** [1, height, width, channels], as floats or bytes. */
export function interleaved(image: Float32Array, [channels, height, width]: Shape, isInteger: boolean): ort.Tensor {
  const size = height * width;
  const data = image.map((_, i) => image[(i % channels) * size + Math.floor(i / channels)]);
  return isInteger
    ? new ort.Tensor('uint8', Uint8Array.from(data), [1, height, width, channels])
    : new ort.Tensor(
        'float32',
        data.map((value) => value / 64 - 2),
        [1, height, width, channels],
      );
}

export const noMask = (dims: readonly number[]): ort.Tensor =>
  new ort.Tensor('bool', new Uint8Array(dims.reduce((product, dim) => product * dim, 1)), dims);
