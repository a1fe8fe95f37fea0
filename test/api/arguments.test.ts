import { beforeAll, describe, expect, test } from 'vitest';
import { MAX_THREADS } from '../../src/api/checks.js';
import { Model, UsageError, decodeImage, evaluate, quantize, realValues } from '../../src/index.js';
import { ivit, savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  await saveTinyOnnx(folder.path('float.onnx'));
  await savePhoto(folder.path('photos/a.png'), 1, 8);
});

/** What JavaScript may pass where TypeScript would not. */
const anything = (value: unknown): never => value as never;
const message = (action: Promise<unknown>): Promise<string> =>
  action.then(
    () => 'nothing was refused',
    (error: unknown) => (error instanceof UsageError ? error.message : `${String(error)} is no UsageError`),
  );

const WRONG_THREADS = ['2', 0, -1, null, NaN, 1e9, 1.5, true, MAX_THREADS + 1];

describe('quantize refuses', () => {
  test.each<[string, unknown, RegExp]>([
    ...WRONG_THREADS.map((threads): [string, unknown, RegExp] => [
      `threads ${JSON.stringify(threads)}`,
      { threads },
      /^quantize: threads must be a whole number from 1 to \d+, not /,
    ]),
    ['another effort', { effort: 'quick' }, /effort must be one of none, fast, normal, best, not "quick"/],
    ['other kernels', { kernels: 'int8' }, /kernels must be one of shift, lut, paper, ibert, float/],
    ['other scales', { scales: null }, /scales must be one of static, dynamic, not null/],
    ['9 bits', { weightBits: 9 }, /weightBits must be one of 2, 3, 4, 5, 6, 7, 8, not 9/],
    ['9 bits on average', { target: { bits: 9 } }, /target must be { bits: 2 to 8 }, { bytes } or { drop: 0 to 100 }/],
    ['a size as text', { target: { bytes: '4MB' } }, /target must be { bits: 2 to 8 }, { bytes }/],
    ['bits as text', { weightBits: '8' }, /weightBits must be one of 2, 3, 4, 5, 6, 7, 8, not "8"/],
    ['layer bits as text', { layerBits: ['head=8'] }, /layerBits must be a list, of which each is \{ pattern, bits/],
    ['one image', { numImages: 1 }, /numImages must be a whole number of at least 2, not 1/],
    ['a list of images', { images: ['a.png'] }, /images must be a path, not \["a.png"\]/],
    ['an option that there is none of', { numimages: 4 }, /^quantize has no option numimages; it has output, images/],
    ['a path for the options', 'out.ivit', /its options must be an object, not "out.ivit"/],
    [
      'a standard deviation of 0',
      { preprocess: { mean: [0, 0, 0], std: [0, 1, 1] } },
      /std must be a list of positive numbers/,
    ],
    ['a mean for all', { preprocess: { mean: 0.5 } }, /mean must be a list of numbers, one for each channel, not 0.5/],
    ['a size of text', { preprocess: { size: '224' } }, /size must be \{ height, width \} of 1 to \d+, not "224"/],
    ['crop and resize', { preprocess: { cropPct: 1, resize: { mode: 'shortest', length: 9 } } }, /both say how/],
    ['no function', { onNotice: 'log' }, /onNotice must be a function/],
  ])('%s', async (_what, request, expected) => {
    expect(await message(quantize(folder.path('float.onnx'), anything(request)))).toMatch(expected);
  });

  test('bytes for the model', async () => {
    expect(await message(quantize(anything(new Uint8Array(9))))).toBe(
      'quantize: model must be a path, not a Uint8Array',
    );
  });
});

describe('Model refuses', () => {
  test.each<[string, unknown[], RegExp]>([
    ...WRONG_THREADS.map((threads): [string, unknown[], RegExp] => [
      `threads ${JSON.stringify(threads)}`,
      ['tiny.ivit', { threads }],
      /^Model\.load: threads must be a whole number from 1 to \d+, not /,
    ]),
    ['inherited threads', ['tiny.ivit', Object.create({ threads: '2' })], /threads must be a whole number .*, not "2"/],
    ['another backend', ['tiny.ivit', { backend: 'gpu' }], /backend must be one of native, wasm, reference, not "gpu"/],
    ['no path', [undefined], /path must be a path, not undefined/],
    ['null for options', ['tiny.ivit', null], /its options must be an object, not null/],
  ])('%s', async (_what, [file, options], expected) => {
    const path = typeof file === 'string' ? folder.path(file) : file;
    expect(await message(Model.load(anything(path), anything(options)))).toMatch(expected);
  });

  test('threads that are others when they are asked for again', async () => {
    let asked = 0;
    const options = {
      get threads() {
        return asked++ === 0 ? 1 : anything('2');
      },
    };
    const model = await Model.load(folder.path('tiny.ivit'), options);
    expect(model.threads).toBe(1);
    await model.close();
  });

  test.each(['wasm', 'reference'] as const)('what is no image or no pixels, on %s', async (backend) => {
    const model = await Model.load(folder.path('tiny.ivit'), { backend });
    const infer = (image: unknown, options?: unknown) => message(model.infer(anything(image), anything(options)));
    expect(await infer('photo.jpg')).toMatch(/^infer: image must be an image .*, not "photo\.jpg"/);
    expect(await infer({ data: [1, 2, 3], width: 1, height: 1 })).toMatch(/data must be a Uint8Array, not \[1,2,3\]/);
    expect(await infer({ data: new Float32Array(3), width: 1, height: 1 })).toMatch(/not a Float32Array/);
    expect(await infer({ data: new Uint8Array(4), width: 1, height: 1 })).toMatch(/have 3 bytes \(1×1×3\), not 4/);
    expect(await infer({ data: new Uint8Array(0), width: 0, height: 1 })).toMatch(/width must be a whole number/);
    expect(await infer({ data: new Uint8Array(3), width: 1, height: 1 }, { top: 0 })).toMatch(/top must be a whole/);
    expect(await message(model.run(anything('photo.jpg')))).toMatch(/pixels must be a Uint8Array/);
    expect(await message(model.run(anything(new Float32Array(192))))).toMatch(/pixels must be a Uint8Array/);
    expect(() => model.predictions(anything([1, 2, 3]), 1)).toThrow(/logits must be an Int32Array of 3 numbers/);
    expect(() => model.results(anything(null))).toThrow(/^results: values must be an Int32Array of \d+ numbers/);
    expect(() => model.results(new Int32Array(2))).toThrow(/^results: values must be an Int32Array of \d+ numbers/);
    expect(() => realValues(anything(null))).toThrow(/^realValues: output must be one of the results/);
    expect(() => model.logitsOf(anything([1, 2]))).toThrow(/^logitsOf: values must be an Int32Array or Float32Array/);
    await model.close();
    await model.close();
    expect(await message(model.run(new Uint8Array(192)))).toBe('run: the model is closed');
  });
});

test('evaluate and decodeImage refuse', async () => {
  const tiny = folder.path('tiny.ivit');
  expect(await message(evaluate(tiny, anything({})))).toBe('evaluate: dataset must be a path, not undefined');
  expect(await message(evaluate(tiny, anything('photos')))).toMatch(/its options must be an object/);
  expect(await message(evaluate(tiny, { dataset: 'photos', limit: 0 }))).toMatch(/limit must be a whole number/);
  expect(await message(evaluate(tiny, { dataset: 'photos', exif: anything('auto') }))).toMatch(/exif must be one of/);
  expect(await message(evaluate(anything(null), { dataset: 'photos' }))).toMatch(/path must be a path, not null/);
  expect(await message(decodeImage(anything(null)))).toMatch(/input must be a path or a Uint8Array, not null/);
  expect(await message(decodeImage(anything({ exif: 'apply' })))).toMatch(/input must be a path or a Uint8Array/);
  expect(await message(decodeImage('a.png', 'a', anything({ exif: true })))).toMatch(
    /exif must be one of apply, ignore/,
  );
});

describe('the commands check before any work', () => {
  test.each([
    [['quantize', 'float.onnx', '--weight-bits', '9'], /It must be 2 to 8/],
    [['quantize', 'float.onnx', '--weight-bits', 'head=1'], /It must be 2 to 8/],
    [['quantize', 'float.onnx', '--threads', '100000'], /This machine takes at most \d+ threads/],
    [['quantize', 'float.onnx', '--num-images', '1'], /whole number of at least 2/],
    [['quantize', 'float.onnx', '--mean', 'a,b,c'], /Expected numbers, one for each channel/],
    [['quantize', 'float.onnx', '--kernels', 'paper', '--scales', 'dynamic'], /paper/],
    [['infer', 'photos/a.png', '--threads', '0'], /whole number of at least 1/],
    [['infer', 'photos/a.png', '--threads', '100000'], /This machine takes at most/],
    [['eval', '--dataset', 'photos', '--limit', '0'], /whole number of at least 1/],
    [['bench', '--threads', '1,100000'], /This machine takes at most/],
  ])('ivit %j', async (args, expected) => {
    const { code, stdout, stderr } = await ivit(args, { cwd: folder.path() });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(expected);
  });

  test.each(['--images', '--labels', '--stats'])('%s that is not there, before the model is read', async (option) => {
    const outcome = await ivit(['quantize', 'float.onnx', option, 'absent'], { cwd: folder.path() });
    expect(outcome).toMatchObject({ code: 3, stdout: '', stderr: 'error: No such file or folder: absent\n' });
  });
});
