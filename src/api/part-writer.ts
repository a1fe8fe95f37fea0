/** Writes what a run of `ivit eval` finds, as it is found. */
import { existsSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { InputError } from '../errors.js';
import { headerDifference } from './part-file.js';
import type { PartEnd, PartHeader, Row } from './part-file.js';
import { readLeft } from './part-reader.js';
import { PartialFile, partialName } from './partial-file.js';

export class PartWriter {
  private rows: number;

  private constructor(
    private readonly file: PartialFile,
    /** What an earlier run found. */
    readonly earlier: readonly Row[],
    /** Of all that was written. */
    private crc: number,
  ) {
    this.rows = earlier.length;
  }

  /**
   * Starts a part; or goes on with what a killed run left, where `resume` says so and there is anything.
   *
   * @throws InputError where what is left is of another run
   */
  static async open(file: string, header: PartHeader, resume: boolean): Promise<PartWriter> {
    const partial = partialName(file);
    const left = resume && existsSync(partial) ? await readLeft(partial) : null;
    if (left !== null) {
      requireSameRun(partial, left.header, header);
      return new PartWriter(PartialFile.append(file, left.bytes), left.rows, left.crc);
    }
    const writer = new PartWriter(PartialFile.start(file), [], 0);
    writer.write(header);
    return writer;
  }

  /** @throws InputError where another run has begun to write the same part */
  add(row: Row): void {
    this.file.requireOwn();
    this.write(row);
    this.rows++;
  }

  /**
   * Gives the part its name.
   *
   * @throws InputError where another run writes the same part
   */
  finish(timing: Pick<PartEnd, 'timed' | 'seconds'>): void {
    this.write({ end: true, rows: this.rows, ...timing, crc: this.crc } satisfies PartEnd);
    this.file.finish();
  }

  /** Leaves what there is for another run to resume, if it is anything. */
  giveUp(): void {
    this.file.giveUp(this.rows > 0);
  }

  private write(value: object): void {
    const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
    this.crc = crc32(bytes, this.crc);
    this.file.write(bytes, null);
  }
}

/** @throws InputError where what is left in `partial` is not of the run that is to go on */
function requireSameRun(partial: string, left: PartHeader, header: PartHeader): void {
  const { index, count } = left.shard;
  const isOther = index !== header.shard.index || count !== header.shard.count;
  const difference = isOther ? `of shard ${index}/${count}` : headerDifference(left, header);
  if (difference !== null)
    throw new InputError(`${partial} cannot be resumed: it is ${difference}. Delete it, or leave out --resume`);
}
