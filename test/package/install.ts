import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { REPOSITORY } from '../cli/ivit.js';

const PARTS = ['package.json', 'bin', 'dist', 'native/wasm', 'native/build/Release/ivit.node'];
const { dependencies } = JSON.parse(readFileSync(path.join(REPOSITORY, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};

/**
 * Lays the built package out in a folder as an installation does: its dependencies are there, and nothing that it needs for
 * development alone, unless named.
 *
 * @returns the path of its executable
 */
export function installPackage(folder: string, extras: readonly string[] = []): string {
  const target = path.join(folder, 'node_modules/ivit');
  for (const part of PARTS) {
    const source = path.join(REPOSITORY, part);
    if (!existsSync(source)) continue;
    mkdirSync(path.dirname(path.join(target, part)), { recursive: true });
    cpSync(source, path.join(target, part), { recursive: true });
  }
  for (const name of [...Object.keys(dependencies), ...extras]) {
    const link = path.join(folder, 'node_modules', name);
    mkdirSync(path.dirname(link), { recursive: true });
    symlinkSync(path.join(REPOSITORY, 'node_modules', name), link, 'junction');
  }
  return path.join(target, 'bin/ivit.js');
}
