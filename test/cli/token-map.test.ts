/** Models whose output is no class vector: nothing may speak of classes. */
import { writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Graph } from '../../src/graph/types.js';
import { graphToOnnx } from '../../src/importer/index.js';
import { ivit, savePhoto, temporaryFolder, tinyGraph } from './ivit.js';

const folder = temporaryFolder();
const run = (...args: string[]) => ivit(args, { cwd: folder.path() });

/** The network up to a node: what `features_only`, or a backbone, exports. */
function cutAt(last: string, output = last): Graph {
  const graph = tinyGraph(1);
  const nodes = graph.nodes.slice(0, graph.nodes.findIndex(({ id }) => id === last) + 1);
  nodes.push({ ...nodes.pop()!, id: output });
  const { rows, cols } = nodes.at(-1)!;
  const shape = rows === 1 ? [cols] : [rows, cols];
  return { ...graph, nodes, output, outputs: [{ name: output, shape, start: 0, tail: [], isClasses: false }] };
}

const MODELS = [
  ['a token map', 'norm', '5×16', [5, 16]],
  ['the class token behind the norm', 'pool', '16', [16]],
  ['tokens before the norm', 'add2', '5×16', [5, 16]],
] as const;

beforeAll(async () => {
  await savePhoto(folder.path('set/cat/a.png'), 1);
  await savePhoto(folder.path('set/dog/b.png'), 2);
});

describe.each(MODELS)('%s', (_what, id, text, shape) => {
  beforeAll(async () => {
    await writeFile(folder.path(`${id}.onnx`), graphToOnnx(cutAt(id)));
  });

  test('quantize and inspect say that there are no classes', async () => {
    const { code, stdout, stderr } = await run('quantize', `${id}.onnx`, '--images', 'set', '--effort', 'fast');
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/no vector of classes/);
    expect(stdout).toMatch(/on \d+ held-out images/);
    expect(stdout).toMatch(new RegExp(`${id} ${text}: SQNR [\\d.]+ dB, cosine [01]\\.\\d+`));
    expect(stdout).not.toMatch(/decided/);
    for (const file of [`${id}.onnx`, `${id}.ivit`])
      expect((await run('inspect', file)).stdout).toContain(`${id} ${text} no classes`);
  });

  test('infer prints no class and no percentage', async () => {
    const { code, stdout } = await run('infer', 'set/cat/a.png', '-m', `${id}.ivit`);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^set\/cat\/a\.png\n {2}\w+ (5×)?16: min [\de.-]+, max [\de.-]+, mean [\de.-]+\n$/);
    const [result] = JSON.parse((await run('infer', 'set/cat/a.png', '-m', `${id}.ivit`, '--json')).stdout);
    expect(result).toMatchObject({ predictions: [], outputs: [{ name: id, shape, scale: expect.any(Number) }] });
  });

  test('eval and label refuse, naming the model', async () => {
    const evaluated = await run('eval', '--dataset', 'set', '-m', `${id}.ivit`);
    expect(evaluated).toMatchObject({ code: 3, stdout: '' });
    expect(evaluated.stderr).toMatch(new RegExp(`^error: The model made from ${id}\\.onnx has no classes`));
    await writeFile(folder.path('names.txt'), 'cat\ndog\n');
    const labelled = await run('label', `${id}.ivit`, '--labels', 'names.txt');
    expect(labelled).toMatchObject({ code: 3, stderr: expect.stringMatching(/has no classes to label/) });
  });
});

test('a linear layer called features is told to give none of classes; labels are refused', async () => {
  await writeFile(folder.path('clip.onnx'), graphToOnnx(cutAt('head', 'image_embeds')));
  await writeFile(folder.path('three.txt'), 'a\nb\nc\n');
  const args = ['quantize', 'clip.onnx', '--images', 'set', '--effort', 'fast'];
  expect(await run(...args, '--labels', 'three.txt')).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/clip\.onnx has no classes/),
  });
});
