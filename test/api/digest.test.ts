import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { BACKENDS } from '../../src/engine/types.js';
import { Model, UsageError, decodeImage, digestOf } from '../../src/index.js';
import { NATIVE } from '../engine/backends.js';
import { GOLDEN_DIGESTS, SCENES, SCENES_MODEL } from '../scenes.js';

describe('digestOf', () => {
  test('is the SHA-256 of little-endian i32', () => {
    // printf '\x01\0\0\0\xfe\xff\xff\xff' | sha256sum
    expect(digestOf(Int32Array.of(1, -2))).toBe('b5f56b64f014154a5433fcb074019bb39a5bc74b2004cb4670565d57b5af23b6');
  });

  test('refuses what is no output', () => {
    expect(() => digestOf([1, 2] as unknown as Int32Array)).toThrow(UsageError);
  });
});

test.each(BACKENDS.filter((backend) => backend !== 'native' || NATIVE !== null))(
  'the digests of the fixture, %s',
  async (backend) => {
    const model = await Model.load(SCENES_MODEL, { backend });
    for (const [image, digest] of Object.entries(GOLDEN_DIGESTS)) {
      const pixels = model.prepare(await decodeImage(path.join(SCENES, 'test', image)));
      expect(digestOf(await model.run(pixels)), image).toBe(digest);
    }
    await model.close();
  },
);
