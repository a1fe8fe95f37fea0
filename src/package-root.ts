import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError } from './errors.js';

/**
 * Files of the package that are read while it runs: the WebAssembly modules, the add-on, the code of worker threads.
 * They are named by their path below the package's folder, from wherever this code is: src/, dist/ in many files or in
 * few, or the bundle of another program, beside whose node_modules they lie.
 */
export function packageFile(...parts: string[]): string {
  return path.join(packageRoot(), ...parts);
}

/** `require` as the package's own files have it. */
export function packageRequire(): NodeJS.Require {
  return createRequire(packageFile('package.json'));
}

let root: string | undefined;

function packageRoot(): string {
  root ??= rootAbove(ownFile()) ?? installedRoot();
  if (root !== undefined) return root;
  throw new InputError(
    'The files of the package ivit (WebAssembly modules, worker threads) are not found. Where it was bundled ' +
      'into another program, leave it out of the bundle (esbuild --external:ivit) or install it beside the bundle ' +
      '(npm install ivit)',
  );
}

/** A bundler that makes CommonJS leaves no `import.meta.url`. */
function ownFile(): string {
  const url = import.meta.url as string | undefined;
  return url === undefined ? __filename : fileURLToPath(url);
}

/** The nearest folder above that is this package's, or undefined. */
function rootAbove(file: string): string | undefined {
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    if (isRoot(folder)) return folder;
    if (folder === path.dirname(folder)) return undefined;
  }
}

function isRoot(folder: string): boolean {
  const manifest = path.join(folder, 'package.json');
  return existsSync(manifest) && (JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string }).name === 'ivit';
}

/** Where `import 'ivit'` leads from this file, or from the folder of the program that runs. */
function installedRoot(): string | undefined {
  for (const from of [ownFile(), process.argv[1], path.join(process.cwd(), 'index.js')]) {
    try {
      return path.dirname(createRequire(path.resolve(from)).resolve('ivit/package.json'));
    } catch {
      continue;
    }
  }
  return undefined;
}
