import { readdirSync } from 'node:fs';
import path from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ivit': 'application/octet-stream',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
};

export interface ServedFile {
  readonly path: string;
  readonly type: string;
}

/** The files of one folder that a browser can use, by their addresses: nothing else of the disk has one. */
export function filesOf(folder: string): Map<string, ServedFile> {
  const names = readdirSync(folder).filter((name) => path.extname(name) in TYPES);
  const files = new Map(names.map((name) => [`/${name}`, servedFile(path.join(folder, name))]));
  const index = files.get('/index.html');
  if (index !== undefined) files.set('/', index);
  return files;
}

export const servedFile = (file: string): ServedFile => ({ path: file, type: TYPES[path.extname(file)] });
