/** At 80 columns everything can be read: no line of any command is longer, words such as paths apart. */
import { writeFile } from 'node:fs/promises';
import { beforeAll, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { ivit, savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder } from './ivit.js';
import { SCENES } from '../scenes.js';

const folder = temporaryFolder();

beforeAll(async () => {
  await saveTinyOnnx(folder.path('float.onnx'));
  await saveTinyModel(folder.path('other.ivit'));
  await writeFile(folder.path('l.txt'), 'cat\ndog\nnewt\n');
  for (const name of ['cat/1.png', 'cat/2.png', 'dog/3.png']) await savePhoto(folder.path('photos', name), 1, 20);
  const made = await ivit(
    [
      'quantize',
      'float.onnx',
      '-o',
      'model.ivit',
      '--num-images',
      '4',
      '--effort',
      'fast',
      '--labels',
      'l.txt',
      '--verbose',
    ],
    {
      cwd: folder.path(),
    },
  );
  expect(tooLong(made)).toEqual([]);
  const recognized = /^Recognized in \d+ ONNX nodes \(vit\): (.*(?:\n {2}.*)*)\n/m.exec(made.stdout)?.[1];
  const kinds = ['5 linear', '3 layerNorm', '1 attention', '1 gelu'];
  expect(recognized?.split(/,\s+/)).toEqual(expect.arrayContaining(kinds));
  expect(made.stdout).toMatch(/^ +layer +input +weight +SQNR +why\n/m);
  expect(made.code).toBe(0);
  const part = await ivit(['eval', '-m', 'model.ivit', '--dataset', 'photos', '--out', 'part.jsonl'], {
    cwd: folder.path(),
  });
  expect(tooLong(part)).toEqual([]);
});

/** Lines that could have been broken at a space and were not. */
const tooLong = ({ stdout, rawStderr }: { stdout: string; rawStderr: string }): string[] =>
  `${stdout}\n${rawStderr}`
    .split('\n')
    .filter((line) => [...line].length > 80 && /\S\s+\S/.test(line.slice(0, 81).trim()));

test.concurrent.each([
  ['inspect model.ivit', 0],
  ['inspect float.onnx', 0],
  [`inspect ${SCENES}/scenes.ivit`, 0],
  [`inspect ${SCENES}/scenes_vit.onnx`, 0],
  ['diff model.ivit other.ivit', 0],
  ['verify model.ivit --noise 1', 0],
  ['bench -m model.ivit -r 1 --float float.onnx --profile', 0],
  ['eval -m model.ivit --dataset photos --float float.onnx --classes --layers', 0],
  ['infer photos -m model.ivit --verbose', 0],
  ['export model.ivit --to c --name wide --ram-report', 0],
  ['doctor', 0],
  ['infer photos/cat/1.png -m a-model-that-is-not-there-and-has-a-name.ivit --threads 1 --top 3', 3],
  ['quantize float.onnx --kernels nothing-of-this-name', 2],
  ['report model.ivit --float float.onnx --images photos -o a-page-of-what-became-of-the-model.html', 0],
  ['merge part.jsonl --classes', 0],
  ['compare float.onnx --images photos --dataset photos --kernels lut --labels l.txt --effort none -r 1 -o c.md', 0],
  ['label other.ivit --labels l.txt -o a-model-whose-classes-have-the-names-of-a-list.ivit', 0],
  ['serve a-model-that-is-not-there-and-has-a-long-name.ivit', 3],
  ['merge a-part-of-an-evaluation-that-is-not-there-and-has-a-long-name.jsonl', 3],
] as const)('ivit %s', async (line, code) => {
  const outcome = await ivit(line.split(' '), { cwd: folder.path() });
  expect(tooLong(outcome)).toEqual([]);
  expect({ code: outcome.code, stderr: outcome.code === code ? '' : outcome.stderr }).toEqual({ code, stderr: '' });
});

test('ivit serve', async () => {
  const outcome = await ivit(['serve', 'model.ivit', '--port', '0', '--host', '0.0.0.0'], {
    cwd: folder.path(),
    onStdout: (text, kill) => {
      if (text.includes('curl')) kill('SIGINT');
    },
  });
  expect(outcome.stdout).toMatch(/^ {2}page +http:.*\n {2}model +model\.ivit,\n +sha256:.*\n(?:.*\n)* {2}try +curl /);
  expect(tooLong(outcome)).toEqual([]);
});

test('the help of all commands', async () => {
  const program = await createProgram();
  let told = '';
  const writeOut = (text: string): void => void (told += text);
  for (const command of [program, ...program.commands]) command.configureOutput({ writeOut }).outputHelp();
  expect(told.match(/^Usage: ivit/gm)).toHaveLength(program.commands.length + 1);
  expect(tooLong({ stdout: told, rawStderr: '' })).toEqual([]);
});

test('bold and dim letters: where asked for, never in a pipe by itself', async () => {
  const run = (env: Record<string, string>) => ivit(['inspect', 'model.ivit'], { cwd: folder.path(), env });
  const [plain, forced, refused] = await Promise.all([
    run({}),
    run({ FORCE_COLOR: '1' }),
    run({ FORCE_COLOR: '1', NO_COLOR: '1' }),
  ]);
  expect(plain.stdout).not.toContain('\u001b');
  expect(forced.stdout).toContain('\u001b[1mlayer\u001b[22m');
  expect(forced.stdout.replaceAll(/\u001b\[\d+m/g, '')).toBe(plain.stdout);
  expect(refused.stdout).toBe(plain.stdout);
});
