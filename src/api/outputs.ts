/** The one guard of everything that a command writes. */
import * as fs from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.js';
import { checkWritable } from '../program/file.js';

export interface OutputFile {
  /** The option that names it, for messages. */
  readonly option: string;
  readonly path: string | undefined;
  readonly kind: keyof typeof KINDS;
}

/** What a file of each kind begins with: an existing file of another kind is not replaced. */
const KINDS = {
  '.ivit model': (start: Buffer) => start.length > 8 && start[8] === '{'.charCodeAt(0),
  'file of statistics': (start: Buffer) => start[0] === 0x1f && start[1] === 0x8b,
  'quantization report': (start: Buffer) => /^\{\s*"output"/.test(start.toString('latin1')),
  'report page': (start: Buffer) => /^<!doctype html>/i.test(start.toString('latin1')),
  'file of outputs': (start: Buffer) =>
    start.toString('latin1').startsWith('PK\x03\x04') || start[8] === '{'.charCodeAt(0),
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

/**
 * Checks, before any work, where the outputs of a command go. None may be one of its inputs, another of its outputs, a
 * folder, a device, or an existing file of another kind; links count as what they lead to.
 *
 * @param inputs files that the command reads; those not given are left out
 * @throws InputError where two of them are the same file, a file that is there may not be replaced, or nothing can be
 * written
 */
export function checkOutputs(outputs: readonly OutputFile[], inputs: readonly (string | undefined)[]): void {
  const taken = new Map<string, string>();
  for (const input of inputs) if (input !== undefined) taken.set(identityOf(input), `the input ${input}`);
  for (const { option, path: file, kind } of outputs) {
    if (file === undefined) continue;
    if (file === '') throw new InputError(`The output of ${option} has no name`);
    checkWritable(file);
    const identity = identityOf(file);
    const other = taken.get(identity);
    if (other !== undefined) throw new InputError(`The output of ${option}, ${file}, is ${other}; choose another name`);
    taken.set(identity, `the output of ${option}`);
    refuseOtherKind(file, kind);
  }
}

/** The same for all names of one file: links and hard links are followed. */
function identityOf(file: string): string {
  try {
    const { dev, ino } = fs.statSync(file);
    return `${dev}:${ino}`;
  } catch {
    return path.resolve(file); // not there yet
  }
}

function refuseOtherKind(file: string, kind: OutputFile['kind']): void {
  const info = fs.statSync(file, { throwIfNoEntry: false });
  if (info === undefined || info.size === 0) return;
  const handle = fs.openSync(file, 'r');
  try {
    const start = Buffer.alloc(64);
    const read = fs.readSync(handle, start);
    if (KINDS[kind](start.subarray(0, read))) return;
  } finally {
    fs.closeSync(handle);
  }
  throw new InputError(`${file} is there already and is no ${kind}: it is not replaced; choose another name`);
}
