/**
 * What the stages of a quantization gave, in a file beside its output, so that a killed run can go on where it was: see
 * `RecordFile`.
 */
import * as fs from 'node:fs';
import { InputError } from '../errors.js';
import { requireRegularFile } from '../regular-file.js';
import type { Stages } from '../quantize/index.js';
import { RecordFile, differenceOf } from './record-file.js';

/** What a run depends on: it goes on only where all of it is the same. */
export interface ResumeSubject {
  readonly tool: string;
  /** SHA-256 of the ONNX file. */
  readonly model: string;
  /** How many calibration images, and SHA-256 of their pixels. */
  readonly images: string;
  readonly preprocessing: string;
  readonly settings: string;
  /** SHA-256 of the files of statistics given. */
  readonly statistics: readonly string[];
}

/** What a subject's parts are called in messages. */
const PARTS: Readonly<Record<keyof ResumeSubject, string>> = {
  tool: 'another version of ivit',
  model: 'another model',
  images: 'other calibration images',
  preprocessing: 'another pre-processing',
  settings: 'other settings',
  statistics: 'other statistics',
};

const FORMAT = 'ivit resume';

/** Where the stages of a quantization are kept. */
export const resumeName = (output: string): string => `${output}.resume`;

/** Says so where a killed run left its file, and nobody asked to go on from it. */
export function noticeLeft(output: string, notice?: (text: string) => void): void {
  const left = resumeName(output);
  if (fs.existsSync(left)) notice?.(`${left} is left of a killed run: give --resume to go on from it, or delete it.`);
}

export class ResumeFile implements Stages {
  private constructor(
    private readonly file: string,
    private readonly records: RecordFile,
  ) {}

  /**
   * Goes on with what a killed run left, or starts anew where it left nothing.
   *
   * @throws InputError where what it left is of something else
   */
  static open(file: string, subject: ResumeSubject): ResumeFile {
    if (fs.existsSync(file)) requireRegularFile(file);
    const handle = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT);
    try {
      const found = RecordFile.read(handle);
      const left = found === null ? null : subjectOf(found.header);
      if (found === null || left === null)
        return new ResumeFile(file, RecordFile.begin(handle, { format: FORMAT, subject }));
      const difference = differenceOf(left, subject, PARTS);
      if (difference !== null)
        throw new InputError(`${file} is of a killed run with ${difference}: delete it, or give what that run had`);
      return new ResumeFile(file, found.records);
    } catch (error) {
      fs.closeSync(handle);
      throw error;
    }
  }

  /** Whether there was anything to go on from. */
  get isResumed(): boolean {
    return this.records.size > 0;
  }

  get(name: string): unknown {
    return this.records.get(name);
  }

  /** @throws InputError where the disk is full */
  put(name: string, value: unknown): void {
    try {
      this.records.put(name, value);
    } catch (error) {
      throw new InputError(
        `${this.file} cannot be written (${(error as Error).message}); free some space, or leave out --resume`,
        { cause: error, code: 'UNWRITABLE' },
      );
    }
  }

  /** The run ended otherwise than well: what is there stays. */
  close(): void {
    this.records.close();
  }

  /** The run is done. */
  remove(): void {
    this.close();
    fs.rmSync(this.file, { force: true });
  }
}

/** What a file says that it is of; null where it is none of these. */
function subjectOf(header: unknown): Partial<ResumeSubject> | null {
  const { format, subject } = (header ?? {}) as { format?: unknown; subject?: Partial<ResumeSubject> };
  return format === FORMAT && typeof subject === 'object' && subject !== null ? subject : null;
}
