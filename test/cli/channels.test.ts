/** Models whose images are not RGB, from the ONNX file to its accuracy. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { Model } from '../../src/index.js';
import type { Graph } from '../../src/graph/types.js';
import { Random } from '../../src/images/random.js';
import { encodeNpy } from '../../src/images/npy.js';
import { graphToOnnx } from '../../src/importer/index.js';
import { ivit, savePhoto, temporaryFolder, tinyGraph } from './ivit.js';

const folder = temporaryFolder();
const run = (...args: string[]) => ivit(args, { cwd: folder.path() });

/** The network of `tinyGraph` for images of so many channels. */
function graphOf(channels: number): Graph {
  const graph = tinyGraph(1);
  const random = new Random(channels);
  const nodes = graph.nodes.map((node) =>
    node.op === 'patchEmbed'
      ? {
          ...node,
          weight: Float32Array.from({ length: (node.weight.length / 3) * channels }, () => 0.1 * random.normal()),
        }
      : node,
  );
  return { ...graph, input: { ...graph.input, channels }, nodes };
}

/** A .npy image, [16, 16, channels] of uint8. */
function saveArray(file: string, channels: number, seed: number): void {
  const random = new Random(seed);
  const reals = encodeNpy({ shape: [16, 16, channels], data: new Int32Array(0) });
  const header = Buffer.from(Buffer.from(reals).toString('latin1').replace('<i4', '|u1'), 'latin1');
  const pixels = Uint8Array.from({ length: 256 * channels }, (_, i) => (i * seed + random.integer(64)) % 256);
  writeFileSync(file, Buffer.concat([header, pixels]));
}

beforeAll(async () => {
  for (const kind of ['0', '1']) {
    mkdirSync(folder.path(`bands/${kind}`), { recursive: true });
    for (const seed of [3, 5, 7]) {
      saveArray(folder.path(`bands/${kind}/${seed}.npy`), 5, seed + (kind === '0' ? 0 : 20));
      await savePhoto(folder.path(`photos/${kind}/${seed}.png`), seed);
    }
  }
  for (const channels of [1, 5]) writeFileSync(folder.path(`${channels}.onnx`), graphToOnnx(graphOf(channels)));
});

const NORMAL = ['--mean', '0.5', '--std', '0.5'];

test('a model of one channel: photographs are turned grey, and that is said', async () => {
  const made = await run('quantize', '1.onnx', '--images', 'photos', '--effort', 'fast', ...NORMAL);
  expect(made.code, made.stderr).toBe(0);
  expect(made.stderr).toMatch(/takes grey images: 6 of 6 have colours, and were turned grey/);
  const one = await run('infer', 'photos/0/3.png', '-m', '1.ivit', '--json');
  expect(one.code, one.stderr).toBe(0);
  expect(JSON.parse(one.stdout)[0].warnings.join()).toMatch(/colours are turned grey/);
  const evaluated = await run('eval', '--dataset', 'photos', '-m', '1.ivit', '--float', '1.onnx', '--json');
  expect(evaluated.code, evaluated.stderr).toBe(0);
  const result = JSON.parse(evaluated.stdout);
  expect(result.images).toBe(6);
  expect(result.float.sqnrDb).toBeGreaterThan(20);
  expect(JSON.stringify(result.warnings)).toMatch(/turned grey/);
});

test('a model of five channels reads .npy files, and nothing else', async () => {
  const made = await run('quantize', '5.onnx', '--images', 'bands', '--effort', 'fast', ...NORMAL);
  expect(made.code, made.stderr).toBe(0);
  const evaluated = await run('eval', '--dataset', 'bands', '-m', '5.ivit', '--float', '5.onnx', '--json');
  expect(evaluated.code, evaluated.stderr).toBe(0);
  expect(JSON.parse(evaluated.stdout).float.sqnrDb).toBeGreaterThan(20);
  const photo = await run('infer', 'photos/0/3.png', '-m', '5.ivit');
  expect(photo.code).toBe(3);
  expect(photo.stderr).toMatch(/photos\/0\/3\.png: the image has 3 channels and the model takes 5: give it as a \.npy/);
  const allPhotos = await run('eval', '--dataset', 'photos', '-m', '5.ivit');
  expect(allPhotos.code).toBe(3);
  expect(allPhotos.stderr).toMatch(/No usable image.*the model takes 5/);
});

test('without images, made-up channels; the library takes the channels that an image says', async () => {
  const made = await run('quantize', '5.onnx', '-o', 'none.ivit', '--num-images', '4', '--effort', 'fast', ...NORMAL);
  expect(made.code, made.stderr).toBe(0);
  const model = await Model.load(folder.path('none.ivit'));
  const image = { data: new Uint8Array(5 * 20 * 30), width: 20, height: 30, channels: 5 };
  expect((await model.infer(image)).predictions.length).toBeGreaterThan(0);
  await expect(model.infer({ ...image, channels: 17 })).rejects.toThrow(/channels must be a whole number from 1 to 16/);
  expect(() => model.prepare({ data: new Uint8Array(12), width: 2, height: 2 })).toThrow(/the model takes 5/);
  await model.close();
});

test('numbers of other channels than the model has are refused before any work', async () => {
  const { code, stderr } = await run('quantize', '5.onnx', '--images', 'bands', '--mean', '0.1,0.2,0.3');
  expect(code).toBe(2);
  expect(stderr).toMatch(/--mean has 3 numbers, and the model takes images of 5 channels/);
});
