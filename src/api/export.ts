/** Writes an integer model in a form that runs without this package. */
import * as fs from 'node:fs';
import path from 'node:path';
import { InputError, UsageError } from '../errors.js';
import { EXPORT_TARGETS } from '../export/index.js';
import type { ExportTargetName } from '../export/index.js';
import type { Exported, ExportOptions, ExportTarget } from '../export/target.js';
import { suggestion } from '../names.js';
import { loadModel, writeAtomically } from '../program/file.js';
import type { MemoryOptions } from '../program/budget.js';
import { requireIntegers } from '../program/integer-only.js';
import type { Program } from '../program/types.js';
import { checkOutputs } from './outputs.js';
import { writeFolder } from './output-folder.js';

export interface ExportRequest extends ExportOptions, MemoryOptions {
  /** The target: `c`, `onnx`. */
  readonly to: ExportTargetName;
  /** Folder, or file of a target that writes one; default: by the model's name, in the current folder. */
  readonly output?: string;
  /** What files, functions and graphs are called; default: the model's name as a C identifier. */
  readonly name?: string;
  /** Write into a folder that is not empty, or over a file that is no export: files of the same names are replaced. */
  readonly force?: boolean;
}

export interface ExportSummary extends Pick<Exported, 'summary' | 'memory'> {
  /** The folder or file that was written. */
  readonly output: string;
  /** Files and their bytes, by their paths below the folder. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
}

/**
 * Exports a `.ivit` model. All files are written, or none.
 *
 * @throws UsageError for a target, name or option that is none
 * @throws InputError where the model cannot be read or expressed, or its files cannot be written
 */
export async function exportModel(file: string, request: ExportRequest): Promise<ExportSummary> {
  const target = targetOf(request.to);
  checkOptions(target, request);
  const name = request.name ?? identifierOf(target, path.basename(file).replace(/\.(ivit|safetensors)$/i, ''));
  checkName(target, name);
  const output = outputOf(target, name, request);
  checkOutput(target, output, file, request.force === true);
  const model = await loadModel(file, request);
  requireIntegers(model.program, 'exports hold integers alone');
  checkOps(model.program, target, request.to);
  const { weights, tile } = request;
  const exported = await target.write({ model, name, options: { weights, tile } });
  const contents = new Map([...exported.files].map(([at, content]) => [at, bytesOf(content)]));
  if (target.writes === 'folder') writeFolder(output, contents);
  else writeAtomically(output, [...contents.values()][0]);
  const files = [...contents].map(([at, { length }]) => ({ path: at, bytes: length }));
  return { output, files, summary: exported.summary, memory: exported.memory };
}

/** @throws UsageError that names the nearest target */
function targetOf(name: string): ExportTarget {
  if (Object.hasOwn(EXPORT_TARGETS, name)) return EXPORT_TARGETS[name as ExportTargetName];
  const names = Object.keys(EXPORT_TARGETS);
  throw new UsageError(`There is no export target ${name}; targets are ${names.join(', ')}${suggestion(name, names)}`);
}

/** A folder may be named with a slash at its end. */
function outputOf({ writes }: ExportTarget, name: string, { to, output }: ExportRequest): string {
  if (writes !== 'folder') return output ?? `${name}${writes}`;
  return output?.replace(/(?!^)[/\\]+$/, '') ?? `${name}-${to}`;
}

function checkOptions(target: ExportTarget, request: ExportRequest): void {
  for (const option of ['weights', 'tile'] as const) {
    if (request[option] !== undefined && !target.options.includes(option))
      throw new UsageError(`The export target ${request.to} has no option ${option}: leave it out`);
  }
}

/** @throws UsageError where it would be no C identifier, or is one of the kernels or of others */
function checkName(target: ExportTarget, name: string): void {
  if (!/^(?!ivit)[a-z][a-z0-9_]*$/i.test(name))
    throw new UsageError(
      `The name of an export must be letters, digits and _, and begin with a letter, but not with ivit: ${name}`,
    );
  if (target.isReserved?.(name))
    throw new UsageError(`The name ${name} is taken: C or the system has a header, a type or a device of that name`);
}

/** A name as a C identifier that is free: what it cannot hold becomes _. */
function identifierOf(target: ExportTarget, name: string): string {
  const plain = name.toLowerCase().replace(/[^a-z0-9_]+/g, '_');
  return /^(?!ivit)[a-z]/.test(plain) && !target.isReserved?.(plain) ? plain : `model_${plain}`;
}

/** @throws InputError naming the ops that the target lacks, and layers that have them */
function checkOps({ ops }: Program, target: ExportTarget, to: string): void {
  const missing = ops.filter(({ op }) => !target.ops.includes(op));
  if (missing.length === 0) return;
  const kinds = [...new Set(missing.map(({ op }) => op))].map(
    (kind) => `${kind} (${missing.find(({ op }) => op === kind)!.name})`,
  );
  throw new InputError(
    `The model cannot be exported to ${to}, which has no ${kinds.join(', no ')}: choose another target (--to)`,
  );
}

/** @throws InputError where the output may not be written */
function checkOutput(target: ExportTarget, output: string, model: string, isForced: boolean): void {
  if (target.writes !== 'folder') {
    checkOutputs([{ option: '-o', path: output, kind: isForced ? 'any file' : 'exported graph' }], [model]);
    return;
  }
  const info = fs.statSync(output, { throwIfNoEntry: false });
  if (info === undefined) {
    checkOutputs([{ option: '-o', path: output, kind: 'any file' }], [model]);
    return;
  }
  if (!info.isDirectory())
    throw new InputError(`Cannot write ${output}: it is a file, and the export is a folder; choose another name`, {
      code: 'UNWRITABLE',
    });
  if (!isForced && fs.readdirSync(output).length > 0)
    throw new InputError(`${output} is not empty; choose another folder with -o, or replace its files with --force`, {
      code: 'UNWRITABLE',
    });
}

function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === 'string' ? Buffer.from(content) : content;
}
