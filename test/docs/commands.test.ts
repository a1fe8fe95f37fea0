/**
 * Every `ivit` command of README.md and docs/ is run as it stands, page by page, by the real binary in a folder that
 * holds what the pages name, on a small model. A page says `<!-- not run: why -->` above a block whose commands cannot
 * be run so; their options are checked all the same.
 */
import { spawn } from 'node:child_process';
import { chmod, cp, mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import onnxProto from 'onnx-proto';
import { beforeAll, describe, expect, test } from 'vitest';
import { graphToOnnx } from '../../src/importer/index.js';
import { REPOSITORY, ivit, savePhoto, temporaryFolder, tinyGraph } from '../cli/ivit.js';
import { filesBelow, isCheckout, textOf } from '../repository/sources.js';

const { onnx } = onnxProto;

interface Command {
  readonly text: string;
  readonly isRun: boolean;
}

/** The lines of code that begin with `ivit`, after a prompt or `npx` or not. */
function commandsOf(page: string): Command[] {
  const commands: Command[] = [];
  let [isFenced, isRun] = [false, true];
  for (const line of page.split('\n')) {
    if (/^ *```/.test(line)) isFenced = !isFenced;
    if (/^<!-- not run: .+ -->$/.test(line)) isRun = false;
    else if (!isFenced && /^\S/.test(line)) isRun = true;
    const [, text] = /^(?: {4,}|)(?:\$ )?(?:npx )?(ivit [a-z].*)$/.exec(line) ?? [];
    if (text !== undefined && (isFenced || line.startsWith('    '))) commands.push({ text, isRun });
  }
  return commands;
}

const PAGES = isCheckout ? ['README.md', ...filesBelow('docs').filter((file) => file.endsWith('.md'))] : [];
const pages = PAGES.map((page) => ({ page, commands: commandsOf(textOf(page)) })).filter(
  ({ commands }) => commands.length > 0,
);

const folder = temporaryFolder();
const MODELS = ['model', 'deit_tiny_patch16_224', 'vit_tiny_patch16_224', 'small', 'scenes/scenes_vit'];
const PHOTOS = ['photos', 'other-photos', 'calib-256', 'imagenet-val-500', 'val', 'scenes/calibration', 'scenes/test'];
const IVITS = ['model', 'a', 'b', 'static', 'dynamic', 'scenes', 'small', 'deit_tiny_patch16_224'];
const CLASSES = ['car', 'dog', 'sailboat'];
const PER_CLASS = 3;

/** A small model whose layers are called as timm calls them: by the names of their weights. */
function namedOnnx(): Uint8Array {
  const model = onnx.ModelProto.decode(graphToOnnx(tinyGraph(1)));
  const named = (name: string): string =>
    name
      .replace(/^(qkv|proj)\/\/weight$/, 'blocks.0.attn.$1.weight')
      .replace(/^(fc[12])\/\/weight$/, 'blocks.0.mlp.$1.weight');
  for (const tensor of model.graph!.initializer!) tensor.name = named(tensor.name!);
  for (const node of model.graph!.node!) node.input = node.input!.map(named);
  return onnx.ModelProto.encode(model).finish();
}

beforeAll(async () => {
  const model = namedOnnx();
  const at = (...parts: string[]): string => folder.path('filled', ...parts);
  await mkdir(at('scenes'), { recursive: true });
  const config = JSON.stringify({ id2label: Object.fromEntries(CLASSES.entries()) });
  const recipe = { do_normalize: true, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], size: 16, resample: 3 };
  for (const beside of ['.', 'scenes']) {
    await writeFile(at(beside, 'config.json'), config);
    await writeFile(at(beside, 'preprocessor_config.json'), JSON.stringify(recipe));
  }
  for (const name of MODELS) await writeFile(at(`${name}.onnx`), model);
  for (const [c, name] of CLASSES.entries())
    for (let i = 0; i < PER_CLASS; i++) await savePhoto(at('photos', name, `0${i}.jpg`), PER_CLASS * c + i, 16);
  await cp(at('photos', 'car', '00.jpg'), at('photo.jpg'));
  for (const name of PHOTOS.slice(1)) await cp(at('photos'), at(name), { recursive: true });
  const { code, stderr } = await ivit(
    ['quantize', 'model.onnx', '--images', 'photos', '--effort', 'fast', '-o', 'model.ivit'],
    { cwd: at() },
  );
  expect(code, stderr).toBe(0);
  for (const name of IVITS.slice(1)) await cp(at('model.ivit'), at(`${name}.ivit`));
  await mkdir(folder.path('bin'));
  const script = `#!/bin/sh\nexec '${process.execPath}' '${path.join(REPOSITORY, 'bin/ivit.js')}' "$@"\n`;
  await writeFile(folder.path('bin/ivit'), script);
  await chmod(folder.path('bin/ivit'), 0o755);
});

/** Runs a line as a shell does: with its patterns and quotes. */
function run(text: string, cwd: string): Promise<{ code: number | null; stderr: string }> {
  // Where a page names no model, there is but one.
  const env = {
    ...process.env,
    IVIT_MODEL: 'deit_tiny_patch16_224.ivit',
    PATH: `${folder.path('bin')}:${process.env['PATH']}`,
  };
  const child = spawn('sh', ['-c', text], { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (some: string) => (stderr += some));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stderr }));
  });
}

/** What did not go as it should, of a page's commands. */
async function failuresOf({ page, commands }: (typeof pages)[number]): Promise<string[]> {
  const own = folder.path(page.replaceAll('/', '_'));
  await cp(folder.path('filled'), own, { recursive: true });
  await mkdir(`${own}-empty`);
  const failures: string[] = [];
  for (const { text, isRun } of commands) {
    // Where nothing is there, what stands on the command line is wrong, or else a file is missing.
    const { code, stderr } = await run(text, isRun ? own : `${own}-empty`);
    if (isRun ? code !== 0 : code !== 3) failures.push(`${text}\n  exit code ${code}: ${stderr}`);
  }
  return failures;
}

describe.skipIf(!isCheckout || process.platform === 'win32')('the commands of the pages', () => {
  test('are found', () => {
    const all = pages.flatMap(({ commands }) => commands);
    expect(all.length).toBeGreaterThan(50);
    expect(all.filter(({ isRun }) => !isRun).length).toBeLessThan(10);
    expect(pages.map(({ page }) => page)).toEqual(expect.arrayContaining(['README.md', 'docs/tutorial.md']));
  });

  test('run', { timeout: 600_000 }, async () => {
    const left = [...pages].sort((a, b) => b.commands.length - a.commands.length);
    const failures: string[] = [];
    const worker = async (): Promise<void> => {
      for (let one = left.shift(); one !== undefined; one = left.shift())
        failures.push(...(await failuresOf(one)).map((failure) => `${one!.page}: ${failure}`));
    };
    await Promise.all(Array.from({ length: availableParallelism() }, worker));
    expect(failures.join('\n')).toBe('');
  });
});
