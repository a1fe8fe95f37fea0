/** What is made from the commands themselves: the manual page, the schema of files of options, examples. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { configSchema } from '../../src/cli/config.js';
import { examplesOf } from '../../src/cli/examples.js';
import { manPage } from '../../src/cli/man-page.js';
import { createProgram } from '../../src/cli/program.js';
import { REPOSITORY, ivit, saveTinyModel, saveTinyOnnx, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
const STALE = 'run npm run build && npm run generate';

test('man/ivit.1 and ivit.schema.json are fresh', async () => {
  const read = (name: string) => readFile(path.join(REPOSITORY, name), 'utf8');
  expect(await read('man/ivit.1'), STALE).toBe(manPage(await createProgram()));
  expect(JSON.parse(await read('ivit.schema.json')), STALE).toEqual(configSchema(await createProgram()));
});

test('every command has examples, and each of them parses', async () => {
  const { commands } = await createProgram();
  for (const command of commands) {
    const examples = examplesOf(command);
    expect(examples.length, command.name()).toBeGreaterThan(0);
    for (const example of examples) {
      const [, name, ...args] = example.command.replace(/ >.*$/, '').replaceAll("'", '').split(' ');
      const fresh = (await createProgram(name)).commands[0]!;
      expect(fresh.parseOptions(args).unknown, example.command).toEqual([]);
      expect(`  ${example.command}`.length, example.command).toBeLessThanOrEqual(80);
    }
  }
});

describe('--config', () => {
  test('a file of options is as the options themselves, and those given win', async () => {
    await saveTinyOnnx(folder.path('float.onnx'));
    const quantize = {
      effort: 'fast',
      'num-images': 3,
      'layer-bits': ['fc1*=16', 'fc2*=8'],
      kernels: 'lut',
    };
    await writeFile(folder.path('ivit.json'), JSON.stringify({ $schema: 'ivit.schema.json', quantize }));
    const run = (...args: string[]) => ivit(['quantize', 'float.onnx', ...args], { cwd: folder.path() });
    const told = await run('--config', 'ivit.json', '--kernels', 'shift', '-o', 'a.ivit');
    expect({ code: told.code, stderr: told.code === 0 ? '' : told.stderr }).toEqual({ code: 0, stderr: '' });
    const typed = ['--effort', 'fast', '--num-images', '3', '--layer-bits', 'fc1*=16', '--layer-bits', 'fc2*=8'];
    expect((await run(...typed, '-o', 'b.ivit')).code).toBe(0);
    const [a, b] = await Promise.all(['a.ivit', 'b.ivit'].map((name) => readFile(folder.path(name))));
    expect(a!.equals(b!)).toBe(true);
  });

  test('lists replace those of the file, and what a command must have may stand in it', async () => {
    await saveTinyModel(folder.path('tiny.ivit'));
    await writeFile(folder.path('eval.json'), JSON.stringify({ eval: { dataset: 'absent', model: ['other.ivit'] } }));
    const { code, stderr } = await ivit(['eval', '--config=eval.json', '-m', 'tiny.ivit'], { cwd: folder.path() });
    expect(stderr).toMatch(/^error: .*absent/);
    expect(code).toBe(3);
  });
});
