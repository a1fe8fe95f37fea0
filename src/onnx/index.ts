import { readFile } from 'node:fs/promises';
import { InputError } from '../errors.js';
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
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new InputError(`${path} is not there`);
    if (code === 'EISDIR') throw new InputError(`${path} is a folder, not an ONNX file`);
    throw new InputError(`${path} cannot be read: ${(error as Error).message}`);
  }
  const model = inlineFunctions(decodeModel(bytes, path));
  return { model, tensors: new TensorReader(path), fileBytes: bytes.length };
}
