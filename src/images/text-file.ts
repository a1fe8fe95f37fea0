/** Text that users wrote: UTF-8 or UTF-16, with or without a byte order mark. */
import { readFile, stat } from 'node:fs/promises';
import { InputError, coded } from '../errors.js';
import { nearFile } from '../near-file.js';

/** More than any list of images or classes takes. */
const MAX_TEXT_BYTES = 2 ** 29;

/**
 * Reads a whole text file.
 *
 * @throws InputError where it is missing, no regular file, too large, or not text
 */
export async function readTextFile(file: string): Promise<string> {
  const text = decodeText(await readRegularFile(file));
  if (text.includes('\0'))
    throw new InputError(`${file} is not a text file: text in UTF-8 is wanted here`, { code: 'BAD_FILE' });
  return text;
}

async function readRegularFile(file: string): Promise<Uint8Array> {
  try {
    const info = await stat(file);
    if (info.isDirectory()) throw new InputError(`Cannot read ${file}: it is a folder; give a text file`);
    if (!info.isFile()) throw new InputError(`Cannot read ${file}: it is not a regular file; give a text file`);
    if (info.size > MAX_TEXT_BYTES)
      throw new InputError(`Cannot read ${file}: ${info.size} bytes are too many for a text file; split it`);
    return await readFile(file);
  } catch (error) {
    if (error instanceof InputError) throw coded(error, 'BAD_FILE');
    const { code, message } = error as NodeJS.ErrnoException;
    throw new InputError(`Cannot read ${file}: ${code === 'ENOENT' ? `no such file${nearFile(file)}` : message}`, {
      cause: error,
      code: code === 'ENOENT' ? 'NOT_FOUND' : 'BAD_FILE',
    });
  }
}

/** The byte order mark decides; without one, UTF-16 is known by the zero bytes of its ASCII characters. */
export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder(encodingOf(bytes)).decode(bytes);
}

function encodingOf(bytes: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  const start = bytes.subarray(0, 512);
  if (start.length < 4 || start.length % 2 !== 0) return 'utf-8';
  const zeros = (offset: number) => start.filter((byte, i) => i % 2 === offset && byte === 0).length;
  const most = 0.4 * start.length;
  if (zeros(1) >= most && zeros(0) === 0) return 'utf-16le';
  if (zeros(0) >= most && zeros(1) === 0) return 'utf-16be';
  return 'utf-8';
}
