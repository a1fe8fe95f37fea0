/** Compiles exported C and runs it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cTarget } from '../../../src/export/c/index.js';
import type { Exported, ExportOptions } from '../../../src/export/target.js';
import { FORMAT_VERSION } from '../../../src/program/model.js';
import { outputsByDefault } from '../../../src/program/output.js';
import type { Program } from '../../../src/program/types.js';
import { tinyModel } from '../../program/tiny.js';

const root = mkdtempSync(path.join(tmpdir(), 'ivit-c-'));
let folders = 0;

// Test files may share this module: the folder stays until all are done.
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

/** Whether a tool is there to be run. */
export const has = (tool: string): boolean => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;

/** A C compiler for this machine, or null. */
export const HOST = ['gcc', 'clang', 'cc'].find(has) ?? null;

/** Of every export: what it promises to do without, and warnings that would show a lapse. */
export const STRICT = [
  ...['-std=c99', '-pedantic', '-ffreestanding', '-fno-strict-aliasing', '-Werror', '-Wall', '-Wextra'],
  ...['-Wconversion', '-Wsign-conversion', '-Wcast-align', '-Wshadow', '-Wundef', '-Wvla'],
];

export function exportProgram(program: Program, options: ExportOptions = {}): Promise<Exported> {
  const stored = { formatVersion: FORMAT_VERSION, hash: `sha256:${'0'.repeat(64)}` };
  const model = { ...tinyModel(), program, outputs: outputsByDefault(program), ...stored };
  return Promise.resolve(cTarget.write({ model, name: 'model', options }));
}

/** Writes the files of an export into a folder of their own. */
export function unpack({ files }: Pick<Exported, 'files'>): string {
  const folder = path.join(root, String(folders++));
  mkdirSync(folder);
  for (const [name, content] of files) writeFileSync(path.join(folder, name), content);
  return folder;
}

/** @returns what a command printed, errors too; throws where it fails */
export function run(folder: string, command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed (${status}):\n${stdout}${stderr}`);
  return stdout + stderr;
}
