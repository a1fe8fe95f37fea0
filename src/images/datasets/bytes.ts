/** Files read from front to back, unpacked on the way where gzip packed them; nothing is unpacked to the disk. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { InputError } from '../../errors.js';
import { requireRegularFile } from '../../regular-file.js';

export interface ByteReader {
  /** Where the next byte is read, unpacked. */
  readonly position: number;
  /** The size of the file; null where it is packed, and only reading tells. */
  readonly size: number | null;
  /** So many bytes, in memory of their own; fewer where the file ends before. */
  read(length: number): Promise<Uint8Array>;
  /** Leaves out so many bytes. @returns how many there were */
  skip(length: number): Promise<number>;
  close(): Promise<void>;
}

/** What a packed file may grow to: this, or so many times its size. Images, and pixels of digits, do not. */
const MAX_UNPACKED = 2 ** 30;
const MAX_RATIO = 100;
const BUFFER = 2 ** 16;

/**
 * Opens a file, packed by gzip or not.
 *
 * @throws InputError where it cannot be opened
 */
export async function openBytes(file: string): Promise<ByteReader> {
  requireRegularFile(file);
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    throw new InputError(error.code === 'ENOENT' ? `No such file: ${file}` : `Cannot open ${file}: ${error.message}`, {
      cause: error,
      code: error.code === 'ENOENT' ? 'NOT_FOUND' : undefined,
    });
  });
  try {
    const { size } = await handle.stat();
    const start = new Uint8Array(2);
    await handle.read(start, 0, 2, 0);
    if (start[0] !== 0x1f || start[1] !== 0x8b) return new FileReader(handle, size);
    await handle.close();
    return new GzipReader(file, size);
  } catch (error) {
    await handle.close();
    throw error instanceof InputError ? error : new InputError(`Cannot read ${file}: ${(error as Error).message}`);
  }
}

class FileReader implements ByteReader {
  position = 0;
  private buffer = new Uint8Array(0);
  /** Where in the file the buffer starts. */
  private start = 0;

  constructor(
    private readonly handle: FileHandle,
    readonly size: number,
  ) {}

  async read(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.size - this.position)));
    let at = 0;
    while (at < bytes.length) {
      const held = this.buffer.subarray(Math.max(0, this.position - this.start));
      if (this.position >= this.start && held.length > 0) {
        const part = held.subarray(0, bytes.length - at);
        bytes.set(part, at);
        at += part.length;
        this.position += part.length;
      } else if (bytes.length - at >= BUFFER) {
        const { bytesRead } = await this.handle.read(bytes, at, bytes.length - at, this.position);
        if (bytesRead === 0) break;
        at += bytesRead;
        this.position += bytesRead;
      } else {
        const { bytesRead, buffer } = await this.handle.read(new Uint8Array(BUFFER), 0, BUFFER, this.position);
        if (bytesRead === 0) break;
        this.buffer = buffer.subarray(0, bytesRead);
        this.start = this.position;
      }
    }
    return bytes.subarray(0, at);
  }

  skip(length: number): Promise<number> {
    const skipped = Math.min(length, this.size - this.position);
    this.position += skipped;
    return Promise.resolve(skipped);
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

class GzipReader implements ByteReader {
  position = 0;
  readonly size = null;
  private readonly input;
  private readonly output;
  private readonly chunks: AsyncIterator<Buffer>;
  private chunk: Uint8Array = new Uint8Array(0);
  private unpacked = 0;
  private readonly most: number;

  constructor(
    private readonly file: string,
    packed: number,
  ) {
    this.most = Math.max(MAX_UNPACKED, MAX_RATIO * packed);
    this.input = createReadStream(file);
    this.output = createGunzip({ chunkSize: BUFFER });
    this.input.on('error', (error) => this.output.destroy(error));
    // Who reads is told by the iterator; after closing, nobody has to know.
    this.output.on('error', () => undefined);
    this.chunks = this.input.pipe(this.output)[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async read(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    await this.take(length, (part) => parts.push(part));
    return Uint8Array.from(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
  }

  skip(length: number): Promise<number> {
    return this.take(length, () => undefined);
  }

  /** Hands so many bytes to `use`, in pieces. */
  private async take(length: number, use: (part: Uint8Array) => void): Promise<number> {
    let left = length;
    while (left > 0 && (this.chunk.length > 0 || (await this.next()))) {
      const part = this.chunk.subarray(0, left);
      this.chunk = this.chunk.subarray(part.length);
      use(part);
      left -= part.length;
      this.position += part.length;
    }
    return length - left;
  }

  private async next(): Promise<boolean> {
    try {
      const { value, done } = await this.chunks.next();
      if (done === true) return false;
      this.chunk = value;
    } catch (error) {
      const isCut = (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
      const cause = isCut ? 'it ends too early: it was not copied as a whole' : (error as Error).message;
      throw new InputError(`${this.file} cannot be unpacked: ${cause}`, { cause: error });
    }
    this.unpacked += this.chunk.length;
    if (this.unpacked > this.most)
      throw new InputError(
        `${this.file} grows to more than ${MAX_RATIO} times its size when it is unpacked: it is no dataset`,
      );
    return true;
  }

  close(): Promise<void> {
    this.input.destroy();
    this.output.destroy();
    return Promise.resolve();
  }
}
