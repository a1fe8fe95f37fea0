import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InputError } from '../errors.js';

/**
 * Bytes from which on rows are kept in a file. The sampled rows of ViT-L on 256 images are 3.3 GB, and one layer is
 * read at a time.
 */
const MEMORY_LIMIT = 1 << 28;

/** Float rows by name, to be closed. */
export interface Rows {
  /** Floats under each name. */
  readonly lengths: ReadonlyMap<string, number>;
  /** Floats [from, to) of a name, as a copy. */
  read(name: string, from: number, to: number): Float32Array;
  close(): void;
}

/** Float rows by name, written once and read back a stretch at a time. Many rows are kept in a temporary file. */
export class RowStore implements Rows {
  readonly #arrays = new Map<string, Float32Array>();
  readonly #starts = new Map<string, number>();
  #file: { handle: number; path: string | null } | null = null;

  /**
   * @param lengths floats under each name
   * @param memoryLimit bytes from which on they go to a file
   * @throws InputError where no temporary file can be made
   */
  constructor(
    readonly lengths: ReadonlyMap<string, number>,
    memoryLimit = MEMORY_LIMIT,
  ) {
    let total = 0;
    for (const [name, length] of lengths) {
      this.#starts.set(name, total);
      total += length;
    }
    if (total * Float32Array.BYTES_PER_ELEMENT <= memoryLimit) {
      for (const [name, length] of lengths) this.#arrays.set(name, new Float32Array(length));
    } else {
      this.#file = openTemporary();
    }
  }

  /** @throws InputError where the disk is full */
  write(name: string, at: number, data: Float32Array): void {
    if (this.#file === null) return this.#arrays.get(name)!.set(data, at);
    const bytes = bytesOf(data);
    const start = (this.#starts.get(name)! + at) * Float32Array.BYTES_PER_ELEMENT;
    try {
      for (let done = 0; done < bytes.length;)
        done += writeSync(this.#file.handle, bytes, done, bytes.length - done, start + done);
    } catch (error) {
      throw notKept(error);
    }
  }

  read(name: string, from: number, to: number): Float32Array {
    if (this.#file === null) return this.#arrays.get(name)!.slice(from, to);
    const data = new Float32Array(to - from);
    const bytes = bytesOf(data);
    const start = (this.#starts.get(name)! + from) * Float32Array.BYTES_PER_ELEMENT;
    for (let done = 0; done < bytes.length;) {
      const count = readSync(this.#file.handle, bytes, done, bytes.length - done, start + done);
      if (count === 0) throw new RangeError(`rows of ${name} were read before they were written`);
      done += count;
    }
    return data;
  }

  close(): void {
    this.#arrays.clear();
    if (this.#file === null) return;
    closeSync(this.#file.handle);
    if (this.#file.path !== null) unlinkSync(this.#file.path);
    this.#file = null;
  }
}

/** A file that vanishes with the process, however it ends, where the system can; else its path, to be removed. */
function openTemporary(): { handle: number; path: string | null } {
  const file = path.join(tmpdir(), `ivit-calibration-${process.pid}-${performance.now()}`);
  try {
    const handle = openSync(file, 'wx+', 0o600);
    if (process.platform === 'win32') return { handle, path: file };
    unlinkSync(file);
    return { handle, path: null };
  } catch (error) {
    throw notKept(error);
  }
}

function notKept(cause: unknown): InputError {
  return new InputError(
    `Calibration data cannot be kept in ${tmpdir()}: ${(cause as Error).message}; use fewer images, or another ` +
      'folder ($TMPDIR)',
    { cause },
  );
}

function bytesOf(data: Float32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
