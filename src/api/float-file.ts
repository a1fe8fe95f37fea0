/** Float models made ready for ONNX Runtime: of other float types, with other inputs and outputs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openFloatModel } from '../calibrate/runtime.js';
import type { FloatModel, FloatModelOptions } from '../calibrate/runtime.js';
import { InputError } from '../errors.js';
import { graphToOnnx, importModel } from '../importer/index.js';
import type { ImportedModel } from '../importer/index.js';
import { requireRegularFile } from '../regular-file.js';

type Size = readonly [height: number, width: number];

/** What is not imported, as a quantized model, is run as it is: null. */
async function importOrNull(file: string, size: Size): Promise<ImportedModel | null> {
  requireRegularFile(file);
  return importModel(file, { size }).catch((error: unknown) => {
    if (error instanceof InputError) return null;
    throw error;
  });
}

/**
 * Opens a float model for images [1, channels, height, width] of float32, and says which of its outputs is the one that
 * is quantized.
 *
 * A file with another input, or with a softmax at its end, does not give the logits; and ONNX Runtime has few kernels
 * for float64 and bfloat16, and its web build finds no external data. The canonical graph runs in their stead.
 *
 * @throws InputError where neither runs
 */
export async function openFloatFile(
  file: string,
  size: Size,
  options: FloatModelOptions,
): Promise<{ model: FloatModel; output: string }> {
  const imported = await importOrNull(file, size);
  const own = () => openFloatModel(graphToOnnx(imported!.graph), options);
  const opening =
    imported && !imported.isPlain
      ? own()
      : openFloatModel(file, options).catch((error: unknown) => {
          if (imported && error instanceof InputError) return own();
          throw error;
        });
  const model = await opening;
  // The graph written as ONNX names its output after its node.
  const output = model.outputNames.find((name) => name === imported?.graph.outputName) ?? model.outputNames[0];
  return { model, output };
}

/**
 * Calls `use` with the file of a float model that takes one image of float32 and has float32 weights: the file itself,
 * or one written for the time of the call.
 */
export async function withPlainFile<T>(
  file: string,
  size: Size,
  onNotice: (text: string) => void,
  use: (plain: string) => Promise<T>,
): Promise<T> {
  const imported = await importOrNull(file, size);
  if (imported === null || (imported.isPlain && imported.isFloat32)) return use(file);
  onNotice(
    `${file} is measured as the same network in float32 that takes one image [1, 3, height, width]: ONNX Runtime ` +
      'is fastest with it.',
  );
  const folder = mkdtempSync(path.join(tmpdir(), 'ivit-bench-'));
  try {
    const plain = path.join(folder, 'plain.onnx');
    writeFileSync(plain, graphToOnnx(imported.graph));
    return await use(plain);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
