import { appendFile, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parse } from 'csv-parse/sync';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeImage } from '../../src/images/decode.js';
import { Model, digestOf } from '../../src/index.js';
import { SCENES } from '../scenes.js';
import { ivit, savePhoto, saveTinyModel, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  for (const name of ['a', 'b', 'c']) await savePhoto(folder.path('photos', `${name}.png`), name.charCodeAt(0), 20);
  await writeFile(folder.path('photos', 'broken.jpg'), 'no image');
  await mkdir(folder.path('empty'));
  await writeFile(folder.path('two.txt'), 'one\ntwo\n');
});

const run = (...args: string[]) => ivit(['infer', ...args], { cwd: folder.path() });

describe('infer', () => {
  test('one image: its path, then class name, index and probability, likeliest first', async () => {
    const { code, stdout, stderr } = await run('photos/a.png');
    expect(stderr).toBe('');
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toBe('photos/a.png');
    expect(lines).toHaveLength(4);
    for (const line of lines.slice(1)) expect(line).toMatch(/^ +\d+\.\d %  (cat \(0\)|dog \(1\)|newt \(2\))$/);
    const shares = lines.slice(1).map((line) => Number(/([\d.]+) %/.exec(line)![1]));
    expect(shares).toEqual([...shares].sort((a, b) => b - a));
    expect(code).toBe(0);
  });

  test('--json with logits: what the library gives', async () => {
    const { code, stdout, stderr } = await run('photos/a.png', 'photos/b.png', '--json', '--logits', '--top', '2');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const results = JSON.parse(stdout);
    const model = await Model.load(folder.path('tiny.ivit'), { backend: 'reference' });
    for (const [i, name] of ['a', 'b'].entries()) {
      const { predictions, logits } = await model.infer(await decodeImage(folder.path('photos', `${name}.png`)), {
        top: 2,
      });
      expect(results[i]).toEqual({
        path: `photos/${name}.png`,
        predictions,
        logits: [...logits],
        ms: expect.any(Number),
        warnings: [],
      });
    }
    await model.close();
  });

  test('--digest: a line for each image, as sha256sum writes it; in JSON a field', async () => {
    const { code, stdout } = await run('photos/a.png', 'photos/b.png', '--digest', '--backend', 'reference');
    const results = JSON.parse((await run('photos/a.png', 'photos/b.png', '--digest', '--logits', '--json')).stdout);
    // The tiny model has no outputs but its logits.
    const digests = results.map(({ logits }: { logits: number[] }) => digestOf(Int32Array.from(logits)));
    expect(results.map(({ digest }: { digest: string }) => digest)).toEqual(digests);
    expect(digests[0]).not.toBe(digests[1]);
    expect(stdout).toBe(`${digests[0]}  photos/a.png\n${digests[1]}  photos/b.png\n`);
    expect(code).toBe(0);
  });

  test('--save-pixels: what the network reads, image after image', async () => {
    const { code } = await run('photos/a.png', 'photos/b.png', '--save-pixels', 'pixels.bin');
    expect(code).toBe(0);
    const pixels = await readFile(folder.path('pixels.bin'));
    const model = await Model.load(folder.path('tiny.ivit'), { backend: 'reference' });
    const images = ['a', 'b'].map((name) => decodeImage(folder.path('photos', `${name}.png`)));
    const expected = (await Promise.all(images)).map((image) => model.prepare(image));
    expect([...pixels]).toEqual([...expected[0], ...expected[1]]);
    await model.close();
  });

  test('every backend gives the same logits', async () => {
    const outcomes = await Promise.all(
      ['reference', 'wasm'].map((backend) => run('photos/c.png', '--backend', backend, '--json', '--logits')),
    );
    const [reference, wasm] = outcomes.map(({ stdout }) => JSON.parse(stdout)[0].logits);
    expect(wasm).toEqual(reference);
  });

  test('a pattern, and standard input', async () => {
    const matched = await run('photos/*.png', '--json');
    expect(JSON.parse(matched.stdout).map((one: { path: string }) => one.path)).toEqual([
      'photos/a.png',
      'photos/b.png',
      'photos/c.png',
    ]);
    const input = await readFile(folder.path('photos', 'b.png'));
    const piped = await ivit(['infer', '-', '--json'], { cwd: folder.path(), input });
    const [result] = JSON.parse(piped.stdout);
    expect(result.path).toBe('-');
    expect(result.predictions).toEqual(JSON.parse(matched.stdout)[1].predictions);
  });

  test('a broken image among good ones: the others are done, the exit code is 3', async () => {
    const { code, stdout, stderr } = await run('photos/a.png', 'photos/broken.jpg', 'photos/c.png', '--json');
    expect(JSON.parse(stdout)).toHaveLength(2);
    expect(stderr).toMatch(
      /^warning: Cannot decode photos\/broken\.jpg: .*\nerror: 1 of 3 images could not be used\n$/,
    );
    expect(code).toBe(3);
  });
});

test('--verbose tells what runs the model, and why', async () => {
  const asked = await run('photos/a.png', '--backend', 'wasm', '--threads', '1', '--verbose');
  expect(asked.stderr).toMatch(/^note: The model runs on wasm \(.*\), 1 thread: as --backend asks\.\n$/);
});

test('a model under the name of a safetensors file', async () => {
  await copyFile(folder.path('tiny.ivit'), folder.path('photos', 'tiny.safetensors'));
  const named = await run('photos/a.png', '-m', 'photos/tiny.safetensors');
  expect(named).toEqual(await run('photos/a.png', '-m', 'tiny.ivit'));
});

describe('--format', () => {
  test('csv: a line for each class', async () => {
    const { code, stdout, stderr } = await run('photos/a.png', 'photos/b.png', '--format', 'csv', '--top', '2');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const rows: Record<string, string>[] = parse(stdout, { columns: true });
    const json = JSON.parse((await run('photos/a.png', 'photos/b.png', '--json', '--top', '2')).stdout) as Result[];
    expect(
      rows.map(({ path, rank, class: index, label, probability }) => [path, rank, index, label, probability]),
    ).toEqual(
      json.flatMap(({ path, predictions }) =>
        predictions.map(({ index, label, probability }, i) => [
          path,
          String(i + 1),
          String(index),
          label,
          probability.toFixed(6),
        ]),
      ),
    );
  });

  test('jsonl: an object for each image as it comes, and for what is none', async () => {
    const { code, stdout } = await run('photos/a.png', 'photos/broken.jpg', 'photos/c.png', '--format', 'jsonl');
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Result);
    expect(lines.map(({ path, error }) => [path, error !== undefined])).toEqual([
      ['photos/a.png', false],
      ['photos/broken.jpg', true],
      ['photos/c.png', false],
    ]);
    const [{ predictions }] = JSON.parse((await run('photos/c.png', '--json')).stdout) as [Result];
    expect(lines[2]!.predictions).toEqual(predictions);
    expect(code).toBe(3);
  });
});

interface Result {
  readonly path: string;
  readonly error?: string;
  readonly predictions: readonly { readonly index: number; readonly label: string; readonly probability: number }[];
}

describe('--watch', () => {
  test('classifies what is put into a folder once it is whole; a bad image is counted', async () => {
    await mkdir(folder.path('inbox'));
    const photo = await readFile(folder.path('photos', 'a.png'));
    let step = 0;
    const steps = [
      async () => {
        // Half of it now, the rest while it is watched.
        await writeFile(folder.path('inbox', 'slow.png'), photo.subarray(0, photo.length / 2));
        await writeFile(folder.path('inbox', 'notes.txt'), 'not looked at');
        await setTimeout(150);
        await appendFile(folder.path('inbox', 'slow.png'), photo.subarray(photo.length / 2));
      },
      () => writeFile(folder.path('inbox', 'broken.jpg'), 'no image'),
    ];
    const watching = ivit(['infer', '--watch', 'inbox', '-m', 'tiny.ivit', '--format', 'jsonl'], {
      cwd: folder.path(),
      onStderr: (text) => {
        if (step === 0 && text.includes('Watching inbox')) void steps[step++]!();
      },
      onStdout: (text, kill) => {
        const lines = text.split('\n').length - 1;
        if (lines === 1 && step === 1) void steps[step++]!();
        if (lines === 2) kill('SIGINT');
      },
    });
    const { code, stdout, stderr } = await watching;
    const [whole, broken] = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Result);
    const [{ predictions }] = JSON.parse((await run('photos/a.png', '--json')).stdout) as [Result];
    expect(whole).toMatchObject({ path: path.join('inbox', 'slow.png'), predictions });
    expect(broken!.error).toMatch(/^Cannot decode inbox.broken\.jpg/);
    expect(stderr).toMatch(/\nwarning: Cannot decode .*\nerror: 1 of 2 images could not be used\n$/);
    expect(code).toBe(3);
  });

  test.each([
    [['--watch', 'absent'], 3, /^error: There is no folder absent to watch: make it first\n$/],
    [['--watch', 'empty', '--json'], 2, /--format jsonl/],
    [['--watch', 'empty', '--save', 'x.npz'], 2, /--save/],
  ])('refuses %j', async (args, code, message) => {
    const outcome = await run(...args);
    expect(outcome.stderr).toMatch(message);
    expect(outcome).toMatchObject({ code, stdout: '' });
  });
});

describe('infer takes', () => {
  test('folders, and tells of images that are not decoded', async () => {
    for (const name of ['x.png', 'deeper/y.png']) await savePhoto(folder.path('mixed', name), 5, 9);
    for (const name of ['z.heic', 'deeper/w.HEIC', 'v.svg']) await writeFile(folder.path('mixed', name), 'not read');
    const { code, stdout, stderr } = await run('mixed', 'photos/a.png', '--json');
    expect(code).toBe(0);
    const results = JSON.parse(stdout);
    expect(results.map((one: { path: string }) => one.path)).toEqual([
      'mixed/deeper/y.png',
      'mixed/x.png',
      'photos/a.png',
    ]);
    const left =
      'mixed: 3 images are left out, of a kind that is not decoded (2 .heic, 1 .svg): convert to JPEG or PNG';
    expect(stderr).toBe(`note: ${left}\n`);
    for (const { warnings } of results) expect(warnings).toEqual([left]);
  });

  test("--labels in place of the model's", async () => {
    await writeFile(folder.path('three.txt'), 'Katze\nHund\nMolch\n');
    const { stdout } = await run('photos/a.png', '--labels', 'three.txt');
    expect(stdout).toMatch(/Katze \(0\)/);
    expect(stdout).not.toMatch(/cat/);
  });
});

describe('the model', () => {
  test('is that of -m, else of IVIT_MODEL, else the only .ivit in the folder', async () => {
    const named = await ivit(['infer', folder.path('photos/a.png'), '-m', folder.path('tiny.ivit'), '--json'], {
      cwd: folder.path('photos'),
    });
    const environment = await ivit(['infer', 'a.png', '--json'], {
      cwd: folder.path('photos'),
      env: { IVIT_MODEL: '../tiny.ivit' },
    });
    expect([named.code, environment.code]).toEqual([0, 0]);
    expect(JSON.parse(named.stdout)[0].predictions).toEqual(JSON.parse(environment.stdout)[0].predictions);
  });

  test('none, or several: says so and lists them', async () => {
    const none = await ivit(['infer', 'a.png'], { cwd: folder.path('photos') });
    expect(none).toMatchObject({ code: 2, stdout: '' });
    expect(none.stderr).toMatch(/^error: No model given: .*there is no \.ivit file in this folder/);
    await savePhoto(folder.path('several', 'x.png'), 1);
    for (const name of ['one.ivit', 'two.ivit']) await saveTinyModel(folder.path('several', name));
    const several = await ivit(['infer', 'x.png'], { cwd: folder.path('several') });
    expect(several).toMatchObject({
      code: 2,
      stdout: '',
      stderr: 'error: No model given, and this folder has several: one.ivit, two.ivit; name one\n',
    });
  });

  test('that is missing, cut off, damaged, of another version or no model: code 3 and one line', async () => {
    const whole = await readFile(folder.path('tiny.ivit'));
    const damaged = Buffer.from(whole);
    damaged[damaged.length - 5] ^= 4;
    const newer = Buffer.from(whole.toString('latin1').replace('"version":"4"', '"version":"9"'), 'latin1');
    const cases: [string, Uint8Array | null, RegExp][] = [
      ['absent.ivit', null, /there is no such file/],
      ['cut.ivit', whole.subarray(0, whole.length - 100), /truncated/],
      ['headless.ivit', whole.subarray(0, 50), /truncated/],
      ['empty.ivit', new Uint8Array(0), /it has only 0 bytes/],
      ['damaged.ivit', damaged, /does not match its hash/],
      ['newer.ivit', newer, /format version "9"; this ivit reads 3 and 4/],
      ['photo.ivit', await readFile(folder.path('photos', 'a.png')), /Not a valid \.ivit file/],
    ];
    for (const [name, content, reason] of cases) {
      if (content !== null) await writeFile(folder.path('photos', name), content);
      const { code, stdout, stderr } = await run('photos/a.png', '-m', `photos/${name}`);
      expect(stderr, name).toMatch(reason);
      expect(stderr, name).toMatch(/^error: photos\/.*\n$/);
      expect(stderr.split('\n'), name).toHaveLength(2);
      expect({ code, stdout }, name).toEqual({ code: 3, stdout: '' });
    }
  });
});

describe('--explain', () => {
  test('draws where the model looked, on one sheet', async () => {
    const args = ['infer', 'test/car/00.jpg', 'test/key/00.jpg', '-m', 'scenes.ivit', '--top', '1'];
    const sheet = folder.path('sheet.png');
    const { code, stdout, stderr } = await ivit([...args, '--explain', sheet], { cwd: SCENES });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('car (1)');
    // An image and four maps side by side, in two rows.
    const { width, height, channels } = await sharp(sheet).metadata();
    expect({ width: width > 5 * 224, height: height > 2 * 224, channels }).toEqual({
      width: true,
      height: true,
      channels: 3,
    });
    const plain = await ivit(args, { cwd: SCENES });
    expect(plain.stdout).toBe(stdout);
  });

  test('refuses another kind of file', async () => {
    const { code, stderr } = await run('photos/a.png', '--explain', 'out.jpg');
    expect(stderr).toMatch(/^error: --explain writes a picture: name it \.png\n$/);
    expect(code).toBe(2);
  });
});

describe('infer refuses', () => {
  test.each<[string, string[], number, RegExp]>([
    ['no image', [], 2, /^error: No image given: name files, /],
    ['an image that is not there', ['absent.png'], 3, /^error: Cannot decode absent\.png: no such file\n$/],
    ['a folder without images', ['empty'], 3, /^error: No image in empty or its subfolders\n$/],
    ['labels of another number', ['photos/a.png', '--labels', 'two.txt'], 3, /two\.txt has 2 labels, but .* 3 classes/],
    ['labels that are not there', ['photos/a.png', '--labels', 'absent.txt'], 3, /absent\.txt/],
    ['a file that is no image', ['photos/broken.jpg'], 3, /^error: Cannot decode photos\/broken\.jpg: not an image/],
    ['a pattern that matches nothing', ['photos/*.gif'], 3, /^error: No file matches photos\/\*\.gif\n$/],
    ['an empty standard input', ['-'], 3, /^error: Cannot decode standard input: it is empty\n$/],
    ['standard input twice', ['-', '-'], 2, /^error: Standard input \(-\) can be read once only: name it once\n$/],
    ['a backend that is none', ['photos/a.png', '--backend', 'gpu'], 2, /It must be one of native, wasm, reference/],
    ['pixels in a file of another kind', ['photos/a.png', '--save-pixels', 'photos/b.png'], 2, /\.bin or \.raw/],
    ['a count that is none', ['photos/a.png', '--top', 'many'], 2, /whole number of at least 1/],
  ])('%s', async (_what, args, code, message) => {
    const outcome = await run(...args);
    expect(outcome.stderr).toMatch(message);
    expect(outcome).toMatchObject({ code, stdout: '' });
  });

  test('--debug adds where the error comes from', async () => {
    const { stderr } = await run('absent.png', '--debug');
    expect(stderr).toMatch(/^error: .*\nInputError: .*\n +at /);
  });
});
