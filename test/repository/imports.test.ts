import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const SOURCE = path.resolve(import.meta.dirname, '../../src');

/** Which folders the files of each folder may import, besides their own; the table of docs/architecture.md. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  onnx: [],
  graph: [],
  importer: ['onnx', 'graph'],
  images: [],
  metrics: [],
  server: [],
  program: [],
  'float-kernels': [],
  kernels: ['program', 'float-kernels'],
  engine: ['program', 'kernels', 'float-kernels'],
  web: ['program', 'engine', 'explain'],
  page: ['web', 'program', 'explain'],
  export: ['onnx', 'graph', 'program', 'kernels', 'engine'],
  calibrate: ['graph'],
  quantize: ['graph', 'calibrate', 'kernels', 'program', 'engine'],
  explain: ['program', 'kernels', 'engine'],
  report: ['graph', 'quantize', 'program', 'kernels', 'engine'],
  api: [
    'bench',
    'onnx',
    'graph',
    'importer',
    'calibrate',
    'quantize',
    'program',
    'kernels',
    'engine',
    'export',
    'report',
    'server',
    'explain',
  ],
  bench: ['onnx', 'calibrate', 'program', 'engine'],
  cli: [
    'bench',
    'onnx',
    'graph',
    'importer',
    'calibrate',
    'quantize',
    'program',
    'kernels',
    'engine',
    'export',
    'report',
    'explain',
    'api',
  ],
};
/** Leaves that any folder may use. */
const LEAVES = ['images', 'metrics'];

/** Every import of a relative path in src/: the folders it leads from and to. Files beside the folders count as ''. */
function imports(): { file: string; from: string; to: string }[] {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const folderOf = (file: string) => (file.includes(path.sep) ? file.split(path.sep)[0] : '');
  return files.flatMap((file) => {
    const text = readFileSync(path.join(SOURCE, file), 'utf8');
    const targets = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+)'/g)].map(([, target]) =>
      path.join(path.dirname(file), target),
    );
    return targets.map((target) => ({ file, from: folderOf(file), to: folderOf(target) }));
  });
}

test('every folder imports only what the design allows', () => {
  const found = imports();
  expect(found.length).toBeGreaterThan(100);
  const broken = found.filter(({ from, to }) => {
    if (from === to || to === '' || from === '') return false;
    return !(MAY_IMPORT[from]?.includes(to) || LEAVES.includes(to));
  });
  expect(broken.map(({ file, to }) => `${file} imports ${to}/`)).toEqual([]);
});

test('the rules name every folder, and lead in no circle', () => {
  const folders = readdirSync(SOURCE, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  expect(Object.keys(MAY_IMPORT).sort()).toEqual(folders.sort());
  const reaches = (from: string, to: string): boolean =>
    MAY_IMPORT[from].some((next) => next === to || reaches(next, to));
  for (const folder of folders) expect(reaches(folder, folder), folder).toBe(false);
});

test('what runs a model in a browser knows nothing of Node', () => {
  // Loading files and starting threads is Node's; everything else of the runtime half is not.
  const nodeOnly = ['program/file.ts', 'engine/load.ts', 'engine/engine.ts', 'engine/wasm-pool.ts'];
  const using = ['program', 'kernels', 'engine', 'explain', 'web'].flatMap((folder) =>
    readdirSync(path.join(SOURCE, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`)
      .filter((file) => /from 'node:/.test(readFileSync(path.join(SOURCE, file), 'utf8'))),
  );
  expect(using.filter((file) => !nodeOnly.includes(file))).toEqual([]);
});
