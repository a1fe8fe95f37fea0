/** The configuration files that Hugging Face repositories keep beside a model. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../../errors.js';
import { requireRegularFile } from '../../regular-file.js';

export interface JsonFile {
  readonly path: string;
  readonly content: Readonly<Record<string, unknown>>;
}

/**
 * Reads the JSON object `name` from the model's folder, or from the one above where the model lies in `onnx/`, as
 * Optimum and transformers.js have it; undefined where there is none.
 *
 * @throws InputError for a file that is there and is not a JSON object
 */
export async function readBeside(modelPath: string, name: string): Promise<JsonFile | undefined> {
  const folder = path.dirname(path.resolve(modelPath));
  const folders = path.basename(folder) === 'onnx' ? [folder, path.dirname(folder)] : [folder];
  for (const candidate of folders) {
    const file = path.join(candidate, name);
    requireRegularFile(file);
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw new InputError(`Cannot read ${file}, which lies beside the model: ${error.message}`, { cause: error });
    });
    if (text !== undefined) return { path: file, content: parseObject(text, file) };
  }
  return undefined;
}

function parseObject(text: string, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new InputError(
      `${file}, beside the model, is not JSON (${(error as Error).message}): mend it, or move it away`,
      { cause: error },
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InputError(`${file}, beside the model, does not hold a JSON object: mend it, or move it away`);
}
