import path from 'node:path';
import { globSync } from 'tinyglobby';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explain } from '../../src/api/explain.js';
import { Model } from '../../src/api/model.js';
import { decodeImage } from '../../src/images/decode.js';
import { correlation, openFloatAttention } from '../../tools/measure/float-attention.js';
import { BACKENDS } from '../../src/engine/types.js';
import { occlusionMap } from '../../src/explain/index.js';
import { SCENES, SCENES_MODEL } from '../scenes.js';

const FILES = globSync('test/*/0[0-4].jpg', { cwd: SCENES }).sort().slice(0, 50);

describe('explain', () => {
  let model: Model;
  let images: { title: string; pixels: Uint8Array }[];
  beforeAll(async () => {
    model = await Model.load(SCENES_MODEL);
    images = await Promise.all(
      FILES.map(async (file) => ({ title: file, pixels: model.prepare(await decodeImage(path.join(SCENES, file))) })),
    );
  });
  afterAll(() => model.close());

  test("the rollout is the float model's, on 50 images", async () => {
    expect(images).toHaveLength(50);
    const float = await openFloatAttention(path.join(SCENES, 'scenes_vit.onnx'), model);
    const all = await explain(model, images);
    for (const [i, maps] of all.entries()) {
      const exact = await float.maps(images[i].pixels);
      expect(maps.map(({ title }) => title)).toEqual(['rollout', 'head 1', 'head 2', 'head 3']);
      expect(maps[0].grid).toEqual([8, 8]);
      expect(correlation(maps[0].values, exact[0].values), images[i].title).toBeGreaterThan(0.98);
    }
    await float.close();
  });

  test('every backend gives the same maps', async () => {
    const [first] = images;
    const found = [];
    for (const backend of BACKENDS) {
      const other = await Model.load(SCENES_MODEL, { backend });
      found.push(await explain(other, [first]));
      await other.close();
    }
    for (const maps of found) expect(maps).toEqual(found[0]);
  });

  test('occlusion: the cells whose pixels count, by how much', async () => {
    const shape = { height: 28, width: 28, channels: 1 };
    // The score is the brightness of one pixel, in the cell of row 3 and column 5.
    const map = await occlusionMap(shape, new Uint8Array(28 * 28).fill(200), async (all) =>
      all.map((one) => one[6 * 28 + 10]),
    );
    expect(map.grid).toEqual([14, 14]);
    const expected = new Float64Array(14 * 14);
    expected[3 * 14 + 5] = 200 - 128;
    expect(map.values).toEqual(expected);
  });
});
