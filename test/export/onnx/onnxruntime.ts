import * as ort from 'onnxruntime-node';
import { programToOnnx } from '../../../src/export/onnx/program.js';
import type { Program } from '../../../src/program/types.js';

export interface Fed {
  readonly data: Uint8Array | Int8Array | Int32Array;
  readonly dims: readonly number[];
}

/** Runs a model's bytes in ONNX Runtime on the CPU, for each set of inputs. */
export async function runOnnx(
  bytes: Uint8Array,
  feeds: readonly Readonly<Record<string, Fed>>[],
): Promise<Record<string, ort.Tensor>[]> {
  const session = await ort.InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const results: Record<string, ort.Tensor>[] = [];
  for (const feed of feeds) {
    const tensors = Object.entries(feed).map(([name, { data, dims }]) => [name, new ort.Tensor(data, dims)] as const);
    results.push((await session.run(Object.fromEntries(tensors))) as Record<string, ort.Tensor>);
  }
  await session.release();
  return results;
}

/** What a program gives for each image once it is exported. */
export async function runExported(program: Program, images: readonly Uint8Array[]): Promise<Int32Array[]> {
  const { height, width, channels } = program.input;
  const feeds = images.map((data) => ({ pixels: { data, dims: [height, width, channels] } }));
  const results = await runOnnx(programToOnnx(program, 'test'), feeds);
  return results.map(({ output }) => Int32Array.from(output.data as Int32Array));
}
