import { readFile, rename, stat } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { random, writeModel } from '../onnx/build.js';
import { nodesOf } from '../onnx/graph-builder.js';
import { withStem } from '../importer/idioms/stem.js';
import { ivit, saveTinyModel, saveTinyOnnx, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  await saveTinyOnnx(folder.path('float.onnx'));
});

const run = (...args: string[]) => ivit(['inspect', ...args], { cwd: folder.path() });

describe('inspect', () => {
  test('a .ivit: what it is, and every op with type, bits, scale and bytes', async () => {
    const { code, stdout, stderr } = await run('tiny.ivit');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/input +8×8×3 pixels, u8; shortest edge 9, bicubic, centre crop 8×8/);
    expect(stdout).toMatch(/outputs +logits 3 classes \(cat; dog; newt\)/);
    const hash = /"hash":"sha256:([0-9a-f]{64})"/.exec(await readFile(folder.path('tiny.ivit'), 'latin1'))![1];
    expect(stdout).toMatch(new RegExp(`content +${hash}\n`));
    expect(JSON.parse((await run('tiny.ivit', '--json')).stdout).hash).toBe(`sha256:${hash}`);
    expect(stdout).toMatch(/settings +kernels lut, scales static/);
    // 8 outputs of 16 inputs at 4 bits: 64 bytes, then 32 of biases and 32 of multipliers.
    expect(stdout).toMatch(/fc2 +linear +5×8 i32 +4 +640 +112 B\n/);
  });

  test('--json of a .ivit: the bytes of all tensors add up to the file', async () => {
    const { stdout } = await run('tiny.ivit', '--json');
    const { bytes, ops, input } = JSON.parse(stdout);
    expect(bytes).toBe((await stat(folder.path('tiny.ivit'))).size);
    expect(input).toEqual({ height: 8, width: 8, channels: 3 });
    const file = await readFile(folder.path('tiny.ivit'));
    const header = Number(file.readBigUInt64LE(0));
    expect(ops.reduce((sum: number, op: { bytes: number }) => sum + op.bytes, 0)).toBe(bytes - 8 - header);
  });

  test('an .onnx: what was recognised', async () => {
    const { code, stdout } = await run('float.onnx');
    expect(code).toBe(0);
    expect(stdout).toMatch(/input +pixels: 16×16×3, patches of 8×8/);
    expect(stdout).toMatch(/blocks +1 of 2 heads, embedding of 16, 5 tokens/);
    expect(stdout).toMatch(/parameters +5\.5 k/);
    expect(stdout).toMatch(/Everything in this model is supported\.\n$/);
  });

  test('an .onnx without attention has no blocks', async () => {
    const nodes = nodesOf(`
      m = Conv(image, w; kernel_shape=[3, 3], pads=[1, 1, 1, 1])
      y = Relu(m)
    `);
    const file = writeModel(withStem({ nodes, initializers: { w: random([8, 3, 3, 3]) } }));
    expect((await run(file)).stdout).toMatch(/blocks +none with attention\n/);
  });

  test('--json of an .onnx', async () => {
    const { stdout } = await run('float.onnx', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ depth: 1, heads: [2], embedDim: 16, classes: 3, problems: [] });
  });

  test('tells a .ivit under another name from an ONNX', async () => {
    await saveTinyModel(folder.path('model.bin'));
    expect((await run('model.bin', '--json')).stdout).toContain('"formatVersion": 4');
    await rename(folder.path('model.bin'), folder.path('other.bin'));
    const { code, stderr } = await run('absent.bin');
    expect(code).toBe(3);
    expect(stderr).toMatch(/^error: absent\.bin is not there\n$/);
  });

  test('what is not supported: names node, op and remedy, and fails', async () => {
    const nodes = nodesOf(`
      m = Conv(image, w; kernel_shape=[3, 3], pads=[1, 1, 1, 1])
      y = NonZero(m)
    `);
    const file = writeModel(withStem({ nodes, initializers: { w: random([8, 3, 3, 3]) } }));
    const { code, stdout, stderr } = await run(file);
    expect(code).toBe(3);
    expect(stdout).toMatch(/node +op +problem +remedy\n.* NonZero /);
    expect(stderr).toMatch(/cannot be quantized: (one node of it is|\d+ nodes of it are) not supported\n$/);
  });
});
