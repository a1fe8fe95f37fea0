/**
 * Files that take their name once they are whole. Until then they are called `FILE.partial`: what a killed run leaves
 * counts for nothing, and can be resumed.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { InputError } from '../errors.js';

/** Where a run writes before it is whole. */
export const partialName = (file: string): string => `${file}.partial`;

export class PartialFile {
  private isOpen = true;

  private constructor(
    private readonly file: string,
    private readonly handle: number,
  ) {}

  /** Starts anew: what is left of another run goes. */
  static start(file: string): PartialFile {
    const partial = partialName(file);
    return writing(file, () => {
      fs.rmSync(partial, { force: true });
      return new PartialFile(file, fs.openSync(partial, 'wx+'));
    });
  }

  /** Fills up what a killed run left. */
  static fill(file: string): PartialFile {
    return writing(file, () => new PartialFile(file, fs.openSync(partialName(file), 'r+')));
  }

  /**
   * Goes on after the first bytes of what a killed run left, in a file of its own: should that run be alive after all,
   * it finds out (`requireOwn`), and does not write between the lines of this one.
   */
  static append(file: string, bytes: number): PartialFile {
    const partial = partialName(file);
    const copy = `${partial}.${randomBytes(6).toString('hex')}`;
    return writing(file, () => {
      try {
        fs.copyFileSync(partial, copy, fs.constants.COPYFILE_EXCL);
        fs.truncateSync(copy, bytes);
        fs.renameSync(copy, partial);
      } finally {
        fs.rmSync(copy, { force: true });
      }
      return new PartialFile(file, fs.openSync(partial, 'a'));
    });
  }

  /** @throws InputError where another run has begun to write the same file */
  requireOwn(): void {
    if (!this.isCalled(partialName(this.file)))
      throw new InputError(
        `Another run writes ${this.file} at the same time: this one is given up; take the other's, or another name`,
      );
  }

  /** @param position null: at the end */
  write(bytes: Uint8Array, position: number | null): void {
    writing(this.file, () => {
      for (let at = 0; at < bytes.length;)
        at += fs.writeSync(this.handle, bytes, at, bytes.length - at, position === null ? null : position + at);
    });
  }

  /** Makes it so long, with zeros. */
  grow(bytes: number): void {
    writing(this.file, () => fs.ftruncateSync(this.handle, bytes));
  }

  firstBytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    fs.readSync(this.handle, bytes, 0, length, 0);
    return bytes;
  }

  /**
   * Gives the file its name, and closes it.
   *
   * @throws InputError where another run writes the same file
   */
  finish(): void {
    writing(this.file, () => fs.fsyncSync(this.handle));
    // Of two runs that fill up one file, the first that has all of it names it.
    if (!this.isCalled(this.file)) {
      this.requireOwn();
      writing(this.file, () => fs.renameSync(partialName(this.file), this.file));
    }
    this.close();
  }

  /** @param keep whether another run may resume it */
  giveUp(keep: boolean): void {
    if (!this.isOpen) return;
    const partial = partialName(this.file);
    if (!keep && this.isCalled(partial)) fs.rmSync(partial, { force: true });
    this.close();
  }

  private close(): void {
    this.isOpen = false;
    fs.closeSync(this.handle);
  }

  private isCalled(name: string): boolean {
    const there = fs.statSync(name, { bigint: true, throwIfNoEntry: false });
    return there?.ino === fs.fstatSync(this.handle, { bigint: true }).ino;
  }
}

/** @throws InputError where it fails */
function writing<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new InputError(`${partialName(file)} cannot be written: ${(error as Error).message}`, {
      cause: error,
      code: 'UNWRITABLE',
    });
  }
}
