import { copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadModel } from '../../src/program/file.js';
import { REPOSITORY, ivit, savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();

beforeAll(async () => {
  await saveTinyOnnx(folder.path('model.onnx'));
  for (let i = 0; i < 8; i++) await savePhoto(folder.path('photos', `${i}.png`), i);
  await writeFile(
    folder.path('preprocessor_config.json'),
    JSON.stringify({ size: 16, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], resample: 3 }),
  );
});

/** What a command that must not write anything leaves behind in the test's folder. */
async function refused(args: readonly string[], options: Parameters<typeof ivit>[1] = {}) {
  const before = await folder.files();
  const outcome = await ivit(args, { cwd: folder.path(), ...options });
  expect(await folder.files(), 'files left behind').toEqual(before);
  expect(outcome.stdout).toBe('');
  return outcome;
}

describe('quantize', () => {
  test('a model and a folder of images: writes the .ivit, prints a summary and the next command', async () => {
    const { code, stdout, stderr } = await ivit(['quantize', 'model.onnx', '--images', 'photos'], {
      cwd: folder.path(),
    });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^Quantized model\.onnx to model\.ivit\n/);
    expect(stdout).toMatch(/parameters +5\.5 k/);
    expect(stdout).toMatch(/images +8\n/);
    expect(stdout).toMatch(/agreement +\d+\.\d % of 1 held-out images/);
    expect(stdout).toMatch(/\n\nNext\n {2}ivit infer photo\.jpg -m model\.ivit\n$/);
    expect(code).toBe(0);
    expect(await folder.files()).toEqual(['model.ivit', 'model.onnx', 'photos', 'preprocessor_config.json']);
  });

  test('--json: one document on standard output, with the promised keys', async () => {
    const output = folder.path('json.ivit');
    const { code, stdout, stderr } = await ivit([
      'quantize',
      folder.path('model.onnx'),
      '-o',
      output,
      '--images',
      folder.path('photos'),
      '--json',
      '--kernels',
      'lut',
      '--scales',
      'dynamic',
    ]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const summary = JSON.parse(stdout);
    expect(summary).toMatchObject({ output, images: 8, parameters: expect.any(Number), seconds: expect.any(Number) });
    expect(summary.bytes).toBe((await readFile(output)).length);
    expect(summary.floatBytes).toBe((await readFile(folder.path('model.onnx'))).length);
    expect(summary.agreement).toMatchObject({
      images: 1,
      top1Agreement: expect.any(Number),
      kl: expect.any(Number),
      sqnrDb: expect.any(Number),
    });
    expect(summary.agreement.sqnrDb).toBeGreaterThan(10);
  });

  test('the same call gives the same file', async () => {
    const bytes = await Promise.all(
      ['a.ivit', 'b.ivit'].map(async (name) => {
        await ivit(['quantize', 'model.onnx', '--images', 'photos', '-o', name], { cwd: folder.path() });
        return readFile(folder.path(name));
      }),
    );
    expect(bytes[0].equals(bytes[1])).toBe(true);
  });

  test('without images: calibrates on synthetic ones and says so', async () => {
    const { code, stdout, stderr } = await ivit(
      ['quantize', 'model.onnx', '-o', 'synthetic.ivit', '--num-images', '8'],
      { cwd: folder.path() },
    );
    expect(stderr).toMatch(/^note: No --images given: calibrating on 8 synthetic images/);
    expect(stdout).toMatch(/images +8 synthetic\n/);
    expect(code).toBe(0);
  });

  test('corrupt images among good ones are skipped, counted and named', async () => {
    const mixed = folder.path('mixed');
    for (let i = 0; i < 4; i++) await savePhoto(path.join(mixed, `${i}.png`), i);
    await writeFile(path.join(mixed, 'broken.jpg'), 'this is no image');
    await writeFile(path.join(mixed, 'cut.png'), (await readFile(path.join(mixed, '0.png'))).subarray(0, 300));
    const { code, stdout, stderr } = await ivit(['quantize', 'model.onnx', '-o', 'mixed.ivit', '--images', 'mixed'], {
      cwd: folder.path(),
    });
    expect(stderr).toMatch(/^note: 2 of 6 images skipped: /);
    expect(stderr).toContain('mixed/broken.jpg');
    expect(stderr).toContain('mixed/cut.png');
    expect(stdout).toMatch(/images +4, 2 skipped\n/);
    expect(code).toBe(0);
  });

  test('--report writes what became of each layer', async () => {
    const { code } = await ivit(
      ['quantize', 'model.onnx', '-o', 'r.ivit', '--images', 'photos', '--report', 'report.json'],
      { cwd: folder.path() },
    );
    expect(code).toBe(0);
    const report = JSON.parse(await readFile(folder.path('report.json'), 'utf8'));
    const names = report.layers.map((layer: { name: string }) => layer.name.split('/')[0]);
    expect(names, 'the class token has its own q, k and v').toEqual([
      'patches',
      'qkv',
      'qkv',
      'proj',
      'fc1',
      'fc2',
      'head',
    ]);
    for (const layer of report.layers) {
      expect(layer.sqnrDb).toBeGreaterThan(15);
      expect(layer.clipped).toBeLessThan(0.05);
      expect(layer.input.scale.min).toBeGreaterThan(0);
      expect(layer.output.scale.max).toBeGreaterThanOrEqual(layer.output.scale.min);
    }
    const [patches, qkv, ofClassToken, , , , head] = report.layers;
    expect(patches.input).toMatchObject({ range: null, strength: null });
    // Of five rows, the four that remain are few enough for 16 bits.
    expect(qkv).toMatchObject({
      rows: 5,
      inFeatures: 16,
      outFeatures: 48,
      inputBits: 16,
      weightBits: 8,
      output: { type: 'i8' },
    });
    expect(ofClassToken).toMatchObject({ rows: 1, inFeatures: 16, outFeatures: 48, inputBits: 16 });
    expect(qkv.input.range.min).toBeLessThan(qkv.input.range.max);
    expect(head.inputBits).toBe(16);
  });

  test('--layer-bits: 16 bits for the layers that a pattern matches', async () => {
    const { code } = await ivit(
      [
        'quantize',
        'model.onnx',
        '-o',
        'bits.ivit',
        '--images',
        'photos',
        '--report',
        'bits.json',
        '--layer-bits',
        'fc*=16',
        '--layer-bits',
        'fc2*=8',
      ],
      { cwd: folder.path() },
    );
    expect(code).toBe(0);
    const { layers } = JSON.parse(await readFile(folder.path('bits.json'), 'utf8'));
    const bits = layers.map(({ name, inputBits }: { name: string; inputBits: number }) => [
      name.split('/')[0],
      inputBits,
    ]);
    expect(bits).toEqual(
      expect.arrayContaining([
        ['fc1', 16],
        ['fc2', 8],
      ]),
    );
    expect((await loadModel(folder.path('bits.ivit'))).provenance.settings['layerBits']).toBe('fc*=16,fc2*=8');
  });

  test('--effort fast: no weight correction', async () => {
    const { code } = await ivit(
      ['quantize', 'model.onnx', '-o', 'fast.ivit', '--images', 'photos', '--report', 'fast.json', '--effort', 'fast'],
      { cwd: folder.path() },
    );
    expect(code).toBe(0);
    const { layers } = JSON.parse(await readFile(folder.path('fast.json'), 'utf8'));
    for (const layer of layers) expect(layer).toMatchObject({ ridge: null, heldOutError: null });
  });
});

describe('quantize refuses, writing nothing', () => {
  const out = ['-o', 'refused.ivit', '--images', 'photos'];

  test.each<[string, string[], number, RegExp]>([
    ['a missing file', ['absent.onnx', ...out], 3, /^error: No such file or folder: absent\.onnx\n$/],
    ['no arguments', [], 2, /^error: missing required argument 'model\.onnx'/],
    ['an unknown option', ['model.onnx', '--fast'], 2, /^error: unknown option '--fast'/],
    [
      'an unknown kernel set',
      ['model.onnx', '--kernels', 'magic'],
      2,
      /^error: option '--kernels <set>' argument 'magic' is invalid. It must be one of shift, lut, paper, ibert, float/,
    ],
    [
      'a pattern that matches no layer',
      ['model.onnx', ...out, '--layer-bits', 'fcl=16'],
      3,
      /^error: No linear layer is named fcl; nearest are fc1.*, fc2.*\n$/,
    ],
    ['a number that is none', ['model.onnx', '--num-images', '0'], 2, /whole number of at least 2/],
    [
      'two ways to resize',
      ['model.onnx', ...out, '--crop-pct', '0.9', '--resize', '20'],
      2,
      /^error: --crop-pct and --resize/,
    ],
    ['a size that the model cannot take', ['model.onnx', ...out, '--size', '32'], 3, /^error: .*16×16, not 32×32/],
    [
      'a folder that is not there',
      ['model.onnx', '-o', 'no/where.ivit', '--images', 'photos'],
      3,
      /^error: Cannot write no\/where\.ivit: there is no folder no; make it first\n$/,
    ],
    [
      'a file where a folder should be',
      ['model.onnx', '-o', 'model.onnx/x.ivit', '--images', 'photos'],
      3,
      /^error: Cannot write model\.onnx\/x\.ivit: there is no folder/,
    ],
    [
      'a folder as output',
      ['model.onnx', '-o', 'photos', '--images', 'photos'],
      3,
      /^error: Cannot write photos: it is a folder\n$/,
    ],
    [
      'the model itself as output',
      ['model.onnx', '-o', './model.onnx', '--images', 'photos'],
      3,
      /^error: The output of -o, \.\/model\.onnx, is the input model\.onnx; choose another name/,
    ],
    [
      'images that are not there',
      ['model.onnx', '-o', 'refused.ivit', '--images', 'absent'],
      3,
      /^error: No such file or folder: absent\n$/,
    ],
    [
      'labels of another model',
      ['model.onnx', ...out, '--labels', 'labels.txt'],
      3,
      /^error: The labels file labels\.txt has 2 labels, but the model has 3 classes: give one for each.*\n$/,
    ],
  ])('%s', async (_what, args, expected, message) => {
    await writeFile(folder.path('labels.txt'), 'one\ntwo\n');
    const { code, stderr } = await refused(['quantize', ...args]);
    expect(stderr).toMatch(message);
    expect(code).toBe(expected);
  });

  test('a file that is no ONNX', async () => {
    await copyFile(folder.path('photos', '0.png'), folder.path('photo.onnx'));
    const { code, stderr } = await refused(['quantize', 'photo.onnx', ...out]);
    expect(stderr).toMatch(/^error: photo\.onnx is no ONNX model but an image, .*\n$/);
    expect(stderr.split('\n')).toHaveLength(2);
    expect(code).toBe(3);
  });

  test('an ONNX cut off', async () => {
    const whole = await readFile(folder.path('model.onnx'));
    await writeFile(folder.path('cut.onnx'), whole.subarray(0, (whole.length * 2) / 3));
    const { code, stderr } = await refused(['quantize', 'cut.onnx', ...out]);
    expect(stderr).toMatch(/^error: cut\.onnx /);
    expect(code).toBe(3);
  });

  test('a folder without a usable image', async () => {
    await savePhoto(folder.path('useless', 'x.png'), 1);
    await writeFile(folder.path('useless', 'x.png'), 'no image');
    const { code, stderr } = await refused(['quantize', 'model.onnx', '-o', 'refused.ivit', '--images', 'useless']);
    expect(stderr).toMatch(/^error: No usable image in useless: Cannot decode useless\/x\.png: .*\n$/);
    expect(code).toBe(3);
  });

  test.skipIf(process.getuid?.() === 0)('a folder that it may not write in', async () => {
    const { mkdir, chmod } = await import('node:fs/promises');
    await mkdir(folder.path('locked'), { mode: 0o555 });
    const { code, stderr } = await refused(['quantize', 'model.onnx', '-o', 'locked/x.ivit', '--images', 'photos']);
    await chmod(folder.path('locked'), 0o755);
    expect(stderr).toBe('error: Cannot write locked/x.ivit: no permission to write in locked; choose another place\n');
    expect(code).toBe(3);
  });

  test('a full disk', async () => {
    const fault = path.join(REPOSITORY, 'test/cli/full-disk.mjs');
    const { code, stderr } = await refused(['quantize', 'model.onnx', ...out], {
      env: { NODE_OPTIONS: `--import ${fault}` },
    });
    expect(stderr.replace(/\d+/, 'N')).toBe(
      'error: Cannot write refused.ivit: no space left for its N bytes; free some, or choose another place with -o\n',
    );
    expect(code).toBe(3);
  });

  test('Ctrl-C while it calibrates', async () => {
    const { code } = await refused(['quantize', 'model.onnx', '-o', 'refused.ivit', '--num-images', '100000'], {
      onStderr: (text, kill) => text.includes('synthetic images') && kill('SIGINT'),
    });
    expect(code).toBe(130);
  });
});

test('Ctrl-C while it writes: leaves a whole file or none, and nothing temporary', async () => {
  const slow = path.join(REPOSITORY, 'test/cli/slow-disk.mjs');
  const before = await folder.files();
  const { code, stderr } = await ivit(['quantize', 'model.onnx', '-o', 'interrupted.ivit', '--images', 'photos'], {
    cwd: folder.path(),
    env: { NODE_OPTIONS: `--import ${slow}` },
    onStderr: (text, kill) => text.includes('writing') && kill('SIGINT'),
  });
  expect(stderr).toContain('writing');
  expect([0, 130]).toContain(code);
  const added = (await folder.files()).filter((name) => !before.includes(name));
  expect([[], ['interrupted.ivit']]).toContainEqual(added);
  if (code === 0 || added.length > 0) await loadModel(folder.path('interrupted.ivit'));
});

test('an existing .ivit is replaced as a whole, and kept where quantizing fails', async () => {
  const file = folder.path('kept.ivit');
  await saveTinyModel(file);
  const before = await readFile(file);
  const fault = path.join(REPOSITORY, 'test/cli/full-disk.mjs');
  const failed = await ivit(['quantize', 'model.onnx', '-o', file, '--images', 'photos'], {
    cwd: folder.path(),
    env: { NODE_OPTIONS: `--import ${fault}` },
  });
  expect(failed.code).toBe(3);
  expect((await readFile(file)).equals(before)).toBe(true);
  const done = await ivit(['quantize', 'model.onnx', '-o', file, '--images', 'photos'], { cwd: folder.path() });
  expect(done.code).toBe(0);
  expect((await readFile(file)).equals(before)).toBe(false);
});
