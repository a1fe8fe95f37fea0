/** Float models made ready for ONNX Runtime: of other float types, with other inputs and outputs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openFloatModel } from '../calibrate/runtime.js';
import type { FloatModel, FloatModelOptions } from '../calibrate/runtime.js';
import { InputError } from '../errors.js';
import { graphToOnnx, importModel } from '../importer/index.js';
import type { ImportOptions, ImportedModel } from '../importer/index.js';
import { requireRegularFile } from '../regular-file.js';

/** What is not imported, as a quantized model, is run as it is: null. */
export async function importOrNull(file: string, options: ImportOptions): Promise<ImportedModel | null> {
  requireRegularFile(file);
  return importModel(file, options).catch((error: unknown) => {
    if (error instanceof InputError) return null;
    throw error;
  });
}

/**
 * Opens a float model for images [1, channels, height, width] of float32. Its outputs are the file's own, or, where its
 * canonical graph runs in its stead (`isGraph`), the one that holds all of the graph's.
 *
 * A file with another input, or with a softmax at its end, does not give the logits; and ONNX Runtime has few kernels
 * for float64 and bfloat16, and its web build finds no external data. The canonical graph runs in their stead.
 *
 * @throws InputError where neither runs
 */
export async function openFloatFile(
  file: string,
  imported: ImportedModel | null,
  options: FloatModelOptions,
): Promise<{ float: FloatModel; isGraph: boolean }> {
  const own = async (graph: ImportedModel['graph']) => ({
    float: await openFloatModel(graphToOnnx(graph), options),
    isGraph: true,
  });
  if (imported && !imported.isPlain) return own(imported.graph);
  try {
    return { float: await openFloatModel(file, options), isGraph: false };
  } catch (error) {
    if (imported && error instanceof InputError) return own(imported.graph);
    throw error;
  }
}

/**
 * Calls `use` with the file of a float model that takes one image of float32 and has float32 weights: the file itself,
 * or one written for the time of the call. That has one output, which holds all of the model's end to end.
 */
export async function withPlainFile<T>(
  file: string,
  options: ImportOptions,
  onNotice: (text: string) => void,
  use: (plain: string) => Promise<T>,
): Promise<T> {
  const imported = await importOrNull(file, options);
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
