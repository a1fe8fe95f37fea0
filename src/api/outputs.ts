/** The one guard of everything that a command writes. */
import * as fs from 'node:fs';
import path from 'node:path';
import { constants, gunzipSync } from 'node:zlib';
import { InputError, UsageError, coded } from '../errors.js';
import { checkWritable } from '../program/file.js';

export interface OutputFile {
  /** The option that names it, for messages. */
  readonly option: string;
  readonly path: string | undefined;
  readonly kind: keyof typeof KINDS;
}

const RESUME_START = '{"format":"ivit resume"';

/** What a file of each kind begins with: an existing file of another kind is not replaced. */
const KINDS = {
  '.ivit model': (start: Buffer) => containerOf(start).startsWith('{"__metadata__":{"format":"ivit"'),
  'file of statistics': (start: Buffer) =>
    containerOf(inflated(start)).startsWith('{"__metadata__":{"format":"ivit statistics"'),
  "float model's runs": (start: Buffer) => start.toString('latin1').startsWith('{"format":"ivit float runs"'),
  'quantization report': (start: Buffer) => /^\{\s*"output"/.test(start.toString('latin1')),
  comparison: (start: Buffer) =>
    /^(# Comparison of|model,kernels,|<!doctype html>|\{\s*"comparison")/i.test(start.toString('latin1')),
  // A kill may have cut it off anywhere.
  'killed quantization': (start: Buffer) => RESUME_START.startsWith(start.toString('latin1', 0, RESUME_START.length)),
  'report page': (start: Buffer) => /^<!doctype html>/i.test(start.toString('latin1')),
  'file of outputs': (start: Buffer) =>
    (start.toString('latin1').startsWith('PK\x03\x04') && start.includes('images.npy')) ||
    containerOf(start).startsWith('{"__metadata__":{"images":'),
  'exported graph': (start: Buffer) => start.includes('ivit'),
  picture: (start: Buffer) => start.subarray(1, 4).toString('latin1') === 'PNG',
  'any file': () => true,
  'part of an evaluation': (start: Buffer) => start.toString('latin1').startsWith('{"format":"ivit evaluation"'),
  'file of float logits': (start: Buffer) => start.includes('"ivit float logits"'),
  // A table of classes, or a PNG.
  'confusion matrix': (start: Buffer) => /^(class,|\x89PNG)/.test(start.toString('latin1')),
  // Bytes of any kind; the name must end in .bin or .raw.
  'file of pixels': () => true,
  'table of predictions': (start: Buffer) => start.toString('latin1').startsWith('path,label,prediction'),
} satisfies Record<string, (start: Buffer) => boolean>;

/** What the names of some kinds end in. */
const ENDINGS: Partial<Record<keyof typeof KINDS, readonly string[]>> = {
  '.ivit model': ['.ivit', '.safetensors'],
  'quantization report': ['.json', '.html', '.htm'],
  'report page': ['.html', '.htm'],
  'exported graph': ['.onnx'],
  'part of an evaluation': ['.jsonl', '.partial'],
  'table of predictions': ['.csv'],
  'file of float logits': ['.safetensors'],
  'file of statistics': ['.stats'],
};

/** Endings that say what a file is, if it is not what is written: who asks for one of them expects something else. */
const TELLING = new Set([
  ...Object.values(ENDINGS).flat(),
  ...['.pdf', '.doc', '.docx', '.md', '.xml', '.yaml', '.yml', '.tsv', '.xlsx', '.parquet', '.npy', '.npz', '.zip'],
  ...['.png', '.jpg', '.jpeg', '.gif', '.svg', '.webp', '.pt', '.pth', '.tflite', '.pb', '.c', '.h', '.py', '.js'],
]);

/** Bytes of a file that tell its kind: more than the longest of the beginnings above. */
const TELLING_BYTES = 256;

/** The beginning of a container's header: safetensors files of others begin otherwise. */
const containerOf = (start: Buffer): string => start.subarray(8).toString('latin1');

/** What a gzip file begins with, or nothing. */
function inflated(start: Buffer): Buffer {
  try {
    return gunzipSync(start, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return Buffer.alloc(0);
  }
}

/**
 * Checks, before any work, where the outputs of a command go. None may be one of its inputs, another of its outputs, a
 * folder, a device, or an existing file of another kind; links count as what they lead to.
 *
 * @param inputs files that the command reads; those not given are left out
 * @throws InputError where two of them are the same file, a file that is there may not be replaced, or nothing can be
 * written; UsageError where a name ends as those of files of another kind
 */
export function checkOutputs(outputs: readonly OutputFile[], inputs: readonly (string | undefined)[]): void {
  try {
    checkEach(outputs, inputs);
  } catch (error) {
    throw coded(error, 'UNWRITABLE');
  }
}

function checkEach(outputs: readonly OutputFile[], inputs: readonly (string | undefined)[]): void {
  const taken = new Map<string, string>();
  for (const input of inputs) if (input !== undefined) taken.set(identityOf(input), `the input ${input}`);
  for (const { option, path: file, kind } of outputs) {
    if (file === undefined) continue;
    if (file === '') throw new InputError(`The output of ${option} has no name: give one`);
    checkWritable(file);
    const identity = identityOf(file);
    const other = taken.get(identity);
    if (other !== undefined) throw new InputError(`The output of ${option}, ${file}, is ${other}; choose another name`);
    taken.set(identity, `the output of ${option}`);
    refuseOtherKind(file, kind);
    refuseOtherEnding(option, file, kind);
  }
}

/**
 * @throws UsageError where a name promises what the file will not be; names that promise nothing are anyone's choice
 */
function refuseOtherEnding(option: string, file: string, kind: OutputFile['kind']): void {
  const own = ENDINGS[kind];
  const ending = path.extname(file).toLowerCase();
  if (own === undefined || own.includes(ending) || !TELLING.has(ending)) return;
  throw new UsageError(
    `The output of ${option}, ${file}, would be no ${ending} file but ${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}: ` +
      `let its name end in ${own.join(' or ')}`,
  );
}

/** The same for all names of one file: links and hard links are followed. */
function identityOf(file: string): string {
  try {
    const { dev, ino } = fs.statSync(file);
    return `${dev}:${ino}`;
  } catch {
    return notYetThere(file);
  }
}

/** A file that would be made: two folders may be one by a link. */
function notYetThere(file: string): string {
  const folder = path.dirname(path.resolve(file));
  try {
    const { dev, ino } = fs.statSync(folder);
    return `${dev}:${ino}/${path.basename(file)}`;
  } catch {
    return path.resolve(file);
  }
}

function refuseOtherKind(file: string, kind: OutputFile['kind']): void {
  const info = fs.statSync(file, { throwIfNoEntry: false });
  if (info === undefined || info.size === 0) return;
  if (KINDS[kind](startOf(file))) return;
  throw new InputError(`${file} is there already and is no ${kind}: it is not replaced; choose another name`);
}

/** @throws InputError where the file cannot be read */
function startOf(file: string): Buffer {
  let handle: number | undefined;
  try {
    handle = fs.openSync(file, 'r');
    const start = Buffer.alloc(TELLING_BYTES);
    return start.subarray(0, fs.readSync(handle, start));
  } catch (error) {
    const reason = (error as Error).message;
    throw new InputError(
      `${file} is there already and cannot be read (${reason}): it is not replaced; choose another name`,
      {
        cause: error,
      },
    );
  } finally {
    if (handle !== undefined) fs.closeSync(handle);
  }
}
