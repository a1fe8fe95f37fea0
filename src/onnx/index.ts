import { readFile, readdir } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { nearFile } from '../near-file.js';
import { requireRegularFile } from '../regular-file.js';
import { decodeModel } from './decode.js';
import { inlineFunctions } from './functions.js';
import { TensorReader } from './tensor.js';
import type { OnnxModel } from './types.js';

export { dataTypeKind, dataTypeName, elementCount, TensorReader, type TensorKind } from './tensor.js';
export type * from './types.js';

export interface LoadedModel {
  readonly model: OnnxModel;
  /** Reads the tensors' data; to be closed when the model has been read. */
  readonly tensors: TensorReader;
  /** Size of the ONNX file itself, without external data. */
  readonly fileBytes: number;
}

/**
 * Reads an ONNX file; model-local functions are inlined, tensors' data stays where it is until asked for.
 * @throws {InputError} where the file is missing, truncated or of another format.
 */
export async function loadOnnx(path: string): Promise<LoadedModel> {
  requireRegularFile(path);
  const bytes = await readFile(path).catch(async (error: unknown) => {
    throw await unreadable(path, error);
  });
  const model = inlineFunctions(decodeModel(bytes, path));
  return { model, tensors: new TensorReader(path), fileBytes: bytes.length };
}

/** Why an ONNX file could not be read. */
export async function unreadable(path: string, error: unknown): Promise<InputError> {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return new InputError(`${path} is not there${nearFile(path)}`, { code: 'NOT_FOUND' });
  if (code === 'EISDIR') return new InputError(`${path} is a folder, not an ONNX file${await insideOf(path)}`);
  return error instanceof InputError ? error : new InputError(`${path} cannot be read: ${(error as Error).message}`);
}

/** What a folder given as a model holds that tells what to do. */
async function insideOf(folder: string): Promise<string> {
  const names = (await readdir(folder).catch(() => [])).sort();
  const models = names.filter((name) => /\.onnx$/i.test(name));
  if (models.length > 0) return `: give one of its files, ${models.slice(0, 3).join(', ')}`;
  if (names.includes('saved_model.pb')) return ' but a SavedModel of TensorFlow: convert it to ONNX with tf2onnx';
  return names.includes('config.json') ? ': export the model in it with optimum-cli export onnx' : '';
}
