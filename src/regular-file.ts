import { statSync } from 'node:fs';
import { InputError } from './errors.js';

/**
 * Refuses pipes, devices and sockets before they are opened: reading them may never end. Files that are missing, and
 * folders, are left to whoever opens them.
 *
 * @throws InputError naming the file
 */
export function requireRegularFile(file: string): void {
  const info = statSync(file, { throwIfNoEntry: false, bigint: false });
  if (info !== undefined && !info.isFile() && !info.isDirectory()) {
    const what = info.isFIFO() ? 'a pipe' : info.isSocket() ? 'a socket' : 'a device';
    throw new InputError(`${file} is ${what}, not a file`);
  }
}
