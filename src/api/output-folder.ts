/** Writes the files of a folder: all of them, or none. */
import * as fs from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.js';
import { hiddenName, outputTarget, unwritable, writeWhole } from '../program/file.js';

/**
 * Writes a folder under a temporary name first, beside the place of a new one. Into a folder that is there already,
 * which may be a disk of its own, files are moved one by one from a folder in it, once all of them are on the disk;
 * where that fails, what was there before comes back. Without a pause for other JavaScript, as writeAtomically.
 *
 * @param files contents by names
 * @throws InputError where that fails
 */
export function writeFolder(folder: string, files: ReadonlyMap<string, Uint8Array>): void {
  const target = outputTarget(folder);
  const isThere = fs.existsSync(target);
  const temporary = path.join(isThere ? target : path.dirname(target), hiddenName(target));
  try {
    fs.mkdirSync(temporary);
    for (const [name, content] of files) writeWhole(path.join(temporary, name), content);
    if (isThere) replaceFiles(target, temporary, [...files.keys()]);
    else fs.renameSync(temporary, target);
  } catch (error) {
    const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
    throw unwritable(folder, bytes, error, isThere ? folder : path.dirname(folder));
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

/** Moves files into a folder, or none of them. */
function replaceFiles(target: string, source: string, names: readonly string[]): void {
  const undo: (() => void)[] = [];
  const move = (from: string, to: string): void => {
    fs.renameSync(from, to);
    undo.push(() => fs.renameSync(to, from));
  };
  const old = path.join(source, 'old');
  fs.mkdirSync(old);
  try {
    for (const name of names) {
      const file = path.join(target, name);
      const info = fs.lstatSync(file, { throwIfNoEntry: false });
      if (info?.isDirectory()) throw new InputError(`${name} in it is a folder; move it away`);
      if (info !== undefined) move(file, path.join(old, name));
      move(path.join(source, name), file);
    }
  } catch (error) {
    for (const back of undo.reverse()) back();
    throw error;
  }
}
