import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { REPOSITORY } from '../cli/ivit.js';

const PARTS = ['package.json', 'bin', 'dist', 'native'];
const ADDON = path.join(REPOSITORY, 'native/build');
const { dependencies } = JSON.parse(readFileSync(path.join(REPOSITORY, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};

export const HAS_ADDON = existsSync(path.join(ADDON, 'Release/ivit.node'));

export interface InstallOptions {
  /** Packages besides the dependencies. */
  readonly extras?: readonly string[];
  /** False: without the add-on that was compiled here. */
  readonly addon?: boolean;
}

/**
 * Lays the built package out in a folder as an installation does: its dependencies are there, and nothing that it needs
 * for development alone, unless named.
 *
 * @returns the path of its executable
 */
export function installPackage(folder: string, { extras = [], addon = true }: InstallOptions = {}): string {
  const target = path.join(folder, 'node_modules/ivit');
  mkdirSync(target, { recursive: true });
  const filter = (source: string) => addon || source !== ADDON;
  for (const part of PARTS) cpSync(path.join(REPOSITORY, part), path.join(target, part), { recursive: true, filter });
  for (const name of [...Object.keys(dependencies), ...extras]) {
    const link = path.join(folder, 'node_modules', name);
    mkdirSync(path.dirname(link), { recursive: true });
    symlinkSync(path.join(REPOSITORY, 'node_modules', name), link, 'junction');
  }
  return path.join(target, 'bin/ivit.js');
}
