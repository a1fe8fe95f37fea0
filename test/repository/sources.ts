import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

export const REPOSITORY = path.resolve(import.meta.dirname, '../..');

/** A tarball of the source has no git: there is nothing to list then. */
export const isCheckout = statSync(path.join(REPOSITORY, '.git'), { throwIfNoEntry: false }) !== undefined;

/** The files below some paths of the repository, new ones included, but none that git ignores; with forward slashes. */
export function filesBelow(...paths: string[]): string[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', ...paths], {
    cwd: REPOSITORY,
    encoding: 'utf8',
  });
  const files = listed.split('\0').filter(Boolean);
  return files.filter((file) => statSync(path.join(REPOSITORY, file), { throwIfNoEntry: false })?.isFile());
}

export function textOf(file: string): string {
  return readFileSync(path.join(REPOSITORY, file), 'utf8');
}

export function linesOf(file: string): string[] {
  return textOf(file).replace(/\n$/, '').split('\n');
}

/** The TypeScript files of src/, parsed, with their types: what tests of the sources look at. */
export function typedSources(): { sources: ts.SourceFile[]; checker: ts.TypeChecker } {
  const files = filesBelow('src').filter((file) => file.endsWith('.ts'));
  const config = ts.readConfigFile(path.join(REPOSITORY, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, REPOSITORY);
  const program = ts.createProgram(
    files.map((file) => path.join(REPOSITORY, file)),
    { ...options, noEmit: true },
  );
  const wanted = new Set(files);
  return {
    sources: program.getSourceFiles().filter(({ fileName }) => wanted.has(nameOf(fileName))),
    checker: program.getTypeChecker(),
  };
}

/** The name of a file as the rules give it: relative to the repository. */
export function nameOf(fileName: string): string {
  return path.relative(REPOSITORY, fileName).split(path.sep).join('/');
}
