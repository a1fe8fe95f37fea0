import { execFileSync } from 'node:child_process';
import { chmod, copyFile, link, lstat, mkdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { encodeNpz } from '../../src/images/npy.js';
import { encodeContainer } from '../../src/program/container.js';
import { ivit, savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
const QUANTIZE = ['quantize', 'm.onnx', '--num-images', '4', '--effort', 'fast'];
const INFER = ['infer', 'val/cat/0.png', '-m', 'tiny.ivit', '--save'];
const EVAL = ['eval', '-m', 'tiny.ivit', '--dataset', 'val'];

beforeAll(async () => {
  await saveTinyOnnx(folder.path('m.onnx'));
  await saveTinyModel(folder.path('tiny.ivit'));
  for (const [i, name] of ['cat', 'dog', 'newt'].entries()) await savePhoto(folder.path('val', name, '0.png'), i, 16);
  await symlink('m.onnx', folder.path('link.onnx'));
  await link(folder.path('m.onnx'), folder.path('hard.ivit'));
  await symlink('nowhere', folder.path('broken.ivit'));
  await mkdir(folder.path('results'));
  await symlink('results', folder.path('latest'));
  await writeFile(
    folder.path('weights.safetensors'),
    encodeContainer({ metadata: new Map([['format', 'pt']]), tensors: new Map() }),
  );
  await writeFile(folder.path('archive.npz'), encodeNpz(new Map([['mine', { shape: [1], data: Int32Array.of(1) }]])));
  await writeFile(folder.path('backup.gz'), gzipSync('what cannot be had again'));
  await writeFile(folder.path('names.txt'), 'a\nb\nc\n');
  await writeFile(folder.path('config.json'), '{"num_labels": 3}\n');
  execFileSync('mkfifo', [folder.path('pipe')]);
});

const KEPT = [
  ...['m.onnx', 'tiny.ivit', 'names.txt', 'config.json'],
  ...['weights.safetensors', 'archive.npz', 'backup.gz'],
];

const run = (args: readonly string[]) => ivit(args, { cwd: folder.path() });

describe('no output replaces what is not its own', () => {
  test.each<[string, string[], RegExp]>([
    ['a link to the model', [...QUANTIZE, '-o', 'link.onnx'], /of -o, link\.onnx, is the input m\.onnx/],
    ['a hard link to the model', [...QUANTIZE, '-o', 'hard.ivit'], /of -o, hard\.ivit, is the input m\.onnx/],
    ['a broken link', [...QUANTIZE, '-o', 'broken.ivit'], /broken\.ivit: it is a link that leads nowhere/],
    ['a device', [...QUANTIZE, '-o', '/dev/null'], /Cannot write \/dev\/null: it is no regular file/],
    ['a pipe', [...QUANTIZE, '-o', 'pipe'], /Cannot write pipe: it is no regular file/],
    ['a folder', [...QUANTIZE, '--report', 'val'], /Cannot write val: it is a folder/],
    ['a text', [...QUANTIZE, '-o', 'names.txt'], /names\.txt is there already and is no \.ivit model/],
    ['the labels', [...QUANTIZE, '--labels', 'names.txt', '--report', 'names.txt'], /is the input names\.txt/],
    [
      'a configuration',
      [...QUANTIZE, '--report', 'config.json'],
      /config\.json is there already and is no quantization/,
    ],
    ['another output', [...QUANTIZE, '-o', 'o.ivit', '--report', './o.ivit'], /of --report, .* is the output of -o/],
    ['another output', [...QUANTIZE, '-o', 'o.ivit', '--save-stats', 'o.ivit'], /is the output of -o/],
    [
      'another output, through another folder',
      [...QUANTIZE, '-o', 'results/o.ivit', '--report', 'latest/o.ivit'],
      /of --report, latest\/o\.ivit, is the output of -o/,
    ],
    ["another's weights", [...QUANTIZE, '-o', 'weights.safetensors'], /is there already and is no \.ivit model/],
    ["another's weights by outputs", [...INFER, 'weights.safetensors'], /is there already and is no file of outputs/],
    ["another's arrays by outputs", [...INFER, 'archive.npz'], /is there already and is no file of outputs/],
    ["another's archive", [...QUANTIZE, '--save-stats', 'backup.gz'], /is there already and is no file of statistics/],
    ['the model by predictions', [...EVAL, '--predictions', 'tiny.ivit'], /is the input tiny\.ivit/],
    ['another model by predictions', [...EVAL, '--predictions', 'm.onnx'], /m\.onnx is there already and is no table/],
    ['a photograph by predictions', [...EVAL, '--predictions', 'val/cat/0.png'], /is no table of predictions/],
  ])('%s', async (_, args, message) => {
    const read = () => Promise.all(KEPT.map((f) => readFile(folder.path(f))));
    const [files, contents] = [await folder.files(), await read()];
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(await folder.files()).toEqual(files);
    expect(await read()).toEqual(contents);
  });

  test('an own file is replaced through its link, and keeps its mode', async () => {
    await copyFile(folder.path('tiny.ivit'), folder.path('real.ivit'));
    await chmod(folder.path('real.ivit'), 0o640);
    await symlink('real.ivit', folder.path('current.ivit'));
    const { code } = await run([...QUANTIZE, '-o', 'current.ivit']);
    expect(code).toBe(0);
    expect((await lstat(folder.path('current.ivit'))).isSymbolicLink()).toBe(true);
    expect(await readlink(folder.path('current.ivit'))).toBe('real.ivit');
    expect((await stat(folder.path('real.ivit'))).mode & 0o777).toBe(0o640);
    expect(await readFile(folder.path('real.ivit'))).not.toEqual(await readFile(folder.path('tiny.ivit')));
  });

  test('predictions and reports are written again', async () => {
    for (const args of [
      [...EVAL, '--predictions', 'p.csv'],
      [...INFER, 'all.npz'],
      [...INFER, 'all.safetensors'],
      [...QUANTIZE, '-o', 'q.ivit', '--report', 'r.json', '--save-stats', 's.bin'],
    ])
      for (const _ of [1, 2]) expect((await run(args)).stderr).not.toMatch(/error/);
  });
});

describe('inputs that may never end are refused', () => {
  test.each<[string, string[], RegExp]>([
    ['a pipe as float model', ['quantize', 'pipe', '-o', 'x.ivit'], /pipe is a pipe, not a file/],
    ['a device as float model', ['inspect', '/dev/zero'], /\/dev\/zero is a device, not a file/],
    ['a pipe as model', ['infer', '-m', 'pipe', 'val/cat/0.png'], /pipe is a pipe, not a file/],
    ['a device as image', ['infer', '-m', 'tiny.ivit', '/dev/zero'], /\/dev\/zero: it is no regular file/],
    ['a pipe as dataset', ['eval', '-m', 'tiny.ivit', '--dataset', 'pipe'], /neither a folder nor a regular file/],
    ['a device as labels', [...QUANTIZE, '-o', 'x.ivit', '--labels', '/dev/zero'], /not a regular file/],
    ['a pipe as statistics', [...QUANTIZE, '-o', 'x.ivit', '--stats', 'pipe'], /pipe is a pipe, not a file/],
    ['a device as float model of eval', [...EVAL, '--float', '/dev/zero'], /\/dev\/zero is a device, not a file/],
  ])('%s', async (_, args, message) => {
    const { code, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect(code).toBe(3);
  });
});
