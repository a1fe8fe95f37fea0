import { describe, expect, test } from 'vitest';
import { createEngine } from '../../src/engine/engine.js';
import { createReferenceEngine } from '../../src/engine/reference.js';
import { BACKENDS } from '../../src/engine/types.js';
import { UsageError } from '../../src/errors.js';
import { tinyProgram } from '../program/tiny.js';
import { NATIVE } from './backends.js';

const program = tinyProgram();
const images = [1, 2, 3, 4, 5].map((seed) => Uint8Array.from({ length: 192 }, (_, i) => (i * seed * 31) & 255));
const expected = await createReferenceEngine(program).runAll(images);

describe.each(BACKENDS.filter((backend) => backend !== 'native' || NATIVE !== null))('%s', (backend) => {
  test.each([1, 2])('pixels are copied when they are handed in, %i threads', async (threads) => {
    const engine = await createEngine(program, { backend, threads });
    const pixels = images.map((image) => Buffer.from(image));
    const runs = pixels.map((image) => engine.run(image));
    for (const image of pixels) image.fill(77);
    expect(await Promise.all(runs)).toEqual(expected);
    await engine.close();
  });

  test('close waits for what is running, may be called again, and nothing runs afterwards', async () => {
    const engine = await createEngine(program, { backend, threads: 2 });
    const runs = Promise.all(images.map((image) => engine.run(image)));
    await Promise.all([engine.close(), engine.close()]);
    expect(await runs).toEqual(expected);
    await engine.close();
    await expect(engine.run(images[0])).rejects.toThrow(UsageError);
    await expect(engine.runAll(images)).rejects.toThrow('The model was closed');
  });

  test('a hundred runs at a time, and two hundred engines one after another', async () => {
    const engine = await createEngine(program, { backend, threads: 2 });
    const many = Array.from({ length: 100 }, (_, i) => i % images.length);
    const logits = await Promise.all(many.map((i) => engine.run(images[i])));
    logits.forEach((one, i) => expect(one).toEqual(expected[many[i]]));
    await engine.close();
    for (let i = 0; i < 200; i++) {
      const next = await createEngine(program, { backend, threads: 1 });
      expect(await next.run(images[0])).toEqual(expected[0]);
      await next.close();
    }
  });
});
