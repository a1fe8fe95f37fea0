/** Saves and loads `.ivit` files. */
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { InputError, coded } from '../errors.js';
import { nearFile } from '../near-file.js';
import { requireRegularFile } from '../regular-file.js';
import type { MemoryOptions } from './budget.js';
import { isMalformed } from './container.js';
import { MAX_FILE_BYTES } from './limits.js';
import { decodeModel, encodeModel } from './model.js';
import type { IvitModel, StoredModel } from './model.js';

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Writes a model: to a temporary file in the same folder, which takes the wanted name once all of it is on the disk.
 * A reader never sees half a file, and a failure leaves what was there before.
 *
 * @returns bytes written
 * @throws InputError where the model is not valid or the file cannot be written
 */
export async function saveModel(file: string, model: IvitModel): Promise<number> {
  const bytes = encodeModel(model, sha256);
  writeAtomically(file, bytes);
  return bytes.length;
}

export interface LoadOptions extends MemoryOptions {
  /** Told how much of the file has been read; what it throws ends the reading. */
  readonly onBytes?: (read: number, total: number) => void;
}

/** Bytes that are read at a time. */
const CHUNK_BYTES = 2 ** 24;

/**
 * Reads a model; see `decodeModel` for what is checked.
 *
 * @throws InputError beginning with the path: missing, unreadable, or not a valid model
 */
export async function loadModel(file: string, options: LoadOptions = {}): Promise<StoredModel> {
  const bytes = await readAligned(file, options.onBytes);
  try {
    return decodeModel(bytes, sha256, options);
  } catch (error) {
    if (/\.onnx$/i.test(file))
      throw new InputError(`${file}: this is a float ONNX model; quantize it first: ivit quantize ${file}`, {
        cause: error,
      });
    if (!(error instanceof InputError)) throw error;
    const remedy = isMalformed(error) ? '; make it again with ivit quantize, or copy it again' : '';
    throw new InputError(`${file}: ${error.message}${remedy}`, { cause: error });
  }
}

/** The file in a buffer of its own, so that its tensors are aligned. */
async function readAligned(file: string, onBytes: LoadOptions['onBytes']): Promise<Uint8Array> {
  requireRegularFile(file);
  const refuse = (error: unknown): never => {
    throw coded(readError(file, error), 'BAD_IVIT');
  };
  const handle = await open(file, 'r').catch(refuse);
  try {
    const stats = await handle.stat().catch(refuse);
    if (stats.isDirectory()) refuse(new InputError(`${file}: this is a folder, not a .ivit file: name the file in it`));
    if (stats.size > MAX_FILE_BYTES)
      refuse(new InputError(`${file}: a file of ${stats.size} bytes is too large to be a .ivit file`));
    const bytes = await allocate(stats.size).catch(refuse);
    let at = 0;
    while (at < bytes.length) {
      const { bytesRead } = await handle.read(bytes, at, Math.min(CHUNK_BYTES, bytes.length - at)).catch(refuse);
      if (bytesRead === 0) break;
      at += bytesRead;
      onBytes?.(at, bytes.length);
    }
    return bytes.subarray(0, at);
  } finally {
    await handle.close();
  }
}

const allocate = async (size: number): Promise<Uint8Array> => new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);

function readError(file: string, error: unknown): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return new InputError(`${file}: there is no such file${nearFile(file)}`, { cause: error, code: 'NOT_FOUND' });
    case 'EACCES':
      return new InputError(`${file}: no permission to read it`, { cause: error });
    default:
      return error instanceof InputError
        ? error
        : new InputError(`${file}: cannot be read (${(error as Error).message})`, { cause: error });
  }
}

/**
 * The file that a name stands for: what a link leads to, so that writing replaces that and leaves the link.
 *
 * @throws InputError where a link leads nowhere
 */
export function outputTarget(file: string): string {
  try {
    if (!fs.lstatSync(file).isSymbolicLink()) return path.resolve(file);
  } catch {
    return path.resolve(file); // not there: opening it says why, where it cannot be made
  }
  try {
    return fs.realpathSync(file);
  } catch (error) {
    throw new InputError(`Cannot write ${file}: it is a link that leads nowhere`, { cause: error, code: 'UNWRITABLE' });
  }
}

/**
 * Replaces a file as a whole, or what a link leads to; its mode stays. Without a pause for other JavaScript from
 * creation to renaming, so that a signal handler that ends the process finds either no temporary file or the finished
 * one.
 *
 * @throws InputError saying why the file cannot be written; nothing is left behind then
 */
export function writeAtomically(file: string, bytes: Uint8Array): void {
  replaceFile(file, bytes.length, (temporary, target) =>
    writeWhole(temporary, bytes, fs.statSync(target, { throwIfNoEntry: false })?.mode),
  );
}

/**
 * Replaces a file, or what a link leads to, with what `write` writes under a hidden name beside it.
 *
 * @param size its bytes, for the message; 0: not known
 * @param write must not pause
 * @throws InputError saying why the file cannot be written; nothing is left behind then
 */
export function replaceFile(file: string, size: number, write: (temporary: string, target: string) => void): void {
  const target = outputTarget(file);
  const temporary = path.join(path.dirname(target), hiddenName(target));
  try {
    write(temporary, target);
    fs.renameSync(temporary, target);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw unwritable(file, size, error);
  }
}

/** A name that nothing else has, for what will have that of `target` once it is whole. */
export const hiddenName = (target: string): string => `.${path.basename(target)}.${randomBytes(6).toString('hex')}.tmp`;

/** Writes a file that is not there yet, to the disk: all of it, or part of it where that throws. */
export function writeWhole(file: string, bytes: Uint8Array, mode?: number): void {
  const handle = fs.openSync(file, 'wx');
  try {
    if (mode !== undefined) fs.fchmodSync(handle, mode & 0o777);
    let at = 0;
    while (at < bytes.length) at += fs.writeSync(handle, bytes, at);
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

/**
 * Finds out, before hours of work, whether a file can be written where the user wants it.
 *
 * @throws InputError saying why not
 */
export function checkWritable(file: string): void {
  const target = outputTarget(file);
  const info = statOf(file);
  if (info === undefined && /[/\\]$/.test(file))
    throw new InputError(`Cannot write ${file}: that is the name of a folder; add the file's`, { code: 'UNWRITABLE' });
  if (info?.isDirectory()) throw new InputError(`Cannot write ${file}: it is a folder`, { code: 'UNWRITABLE' });
  if (info !== undefined && !info.isFile())
    throw new InputError(`Cannot write ${file}: it is no regular file`, { code: 'UNWRITABLE' });
  const probe = path.join(path.dirname(target), `.ivit.${randomBytes(6).toString('hex')}.tmp`);
  try {
    fs.closeSync(fs.openSync(probe, 'wx'));
    fs.rmSync(probe);
  } catch (error) {
    throw unwritable(file, 0, error);
  }
}

/** @throws InputError saying why a file cannot be written where it is said to be */
function statOf(file: string): fs.Stats | undefined {
  try {
    return fs.statSync(file, { throwIfNoEntry: false });
  } catch (error) {
    throw unwritable(file, 0, error);
  }
}

/** What to tell of a file, or folder, that could not be written; `folder`: where it was made. */
export function unwritable(file: string, bytes: number, error: unknown, folder = path.dirname(file)): InputError {
  return new InputError(`Cannot write ${file}: ${reasonOf(folder, bytes, error as NodeJS.ErrnoException)}`, {
    cause: error,
    code: 'UNWRITABLE',
  });
}

const isFolder = (name: string): boolean => fs.statSync(name, { throwIfNoEntry: false })?.isDirectory() === true;

function reasonOf(folder: string, bytes: number, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `no space left for its ${bytes} bytes; free some, or choose another place with -o`;
    case 'EFBIG':
      return `its ${bytes} bytes are more than the file system, or a limit of this session (ulimit -f), allows`;
    case 'ENOENT':
    case 'ENOTDIR':
      return isFolder(folder) ? `no file can be made in ${folder}` : `there is no folder ${folder}; make it first`;
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return `no permission to write in ${folder}; choose another place`;
    case 'EISDIR':
      return 'it is a folder';
    default:
      return error.message;
  }
}
