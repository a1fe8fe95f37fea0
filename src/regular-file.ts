import { statSync, type Stats } from 'node:fs';
import { InputError } from './errors.js';

/**
 * Refuses pipes, devices and sockets before they are opened: reading them may never end. Files that are missing, and
 * folders, are left to whoever opens them.
 *
 * @throws InputError naming the file
 */
export function requireRegularFile(file: string): void {
  const info = statOf(file);
  if (info !== undefined && !info.isFile() && !info.isDirectory()) {
    const what = info.isFIFO() ? 'a pipe' : info.isSocket() ? 'a socket' : 'a device';
    throw new InputError(`${file} is ${what}, not a file`);
  }
}

/** @throws InputError for a circle of links, a folder that may not be looked into, a name that is too long */
function statOf(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw new InputError(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
