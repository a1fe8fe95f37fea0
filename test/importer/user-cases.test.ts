import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { importModel } from '../../src/importer/index.js';
import { importAndRun, interleaved, noMask, planar } from './float-file.js';

const folder = process.env['IVIT_CASES'] ?? fileURLToPath(new URL('../../../shared/cases/users', import.meta.url));
const file = (name: string): string => `${folder}/${name}/model.onnx`;

/** Files that users have; left out where they are not at hand. */
describe.skipIf(!existsSync(folder))('models as users export them', () => {
  test.each([
    ['linear-patch-embed/luc_old_ts'],
    ['linear-patch-embed/luc_lin_ts'],
    ['linear-patch-embed/luc_unfold_ts'],
    ['layout-input/bgr_in'],
    ['layout-input/bgr_flip'],
  ])('%s', async (name) => {
    const { graph, notices, isPlain } = await importAndRun(file(name), (image, shape) => ({
      input: planar(image, shape),
    }));
    expect(graph.nodes.filter(({ op }) => op === 'patchEmbed')).toHaveLength(1);
    expect([notices, isPlain]).toEqual([[], true]);
  });

  test.each([
    ['layout-input/f32_nhwc', false],
    ['layout-input/u8_nhwc', true],
  ])('%s', async (name, isInteger) => {
    const { isPlain } = await importAndRun(file(name), (image, shape) => ({
      input: interleaved(image, shape, isInteger),
    }));
    expect(isPlain).toBe(false);
  });

  test.each([
    ['second-input/dino_off_cls_ts', 'input', 'masks'],
    ['second-input/masks_input', 'pixel_values', 'bool_masked_pos'],
  ])('%s', async (name, input, mask) => {
    const { notices } = await importAndRun(file(name), (image, shape) => ({
      [input]: planar(image, shape),
      [mask]: noMask([1, 16]),
    }));
    expect(notices[0]).toMatch(new RegExp(`"${mask}".*left out`));
  });

  test.each(['token-output/feat_then_logits', 'token-output/tokens_then_logits', 'token-output/two_heads'])(
    '%s: all outputs',
    async (name) => {
      const { graph, notices, otherOutputs } = await importAndRun(file(name), (image, shape) => ({
        input: planar(image, shape),
      }));
      expect(graph.outputs).toHaveLength(2);
      expect(otherOutputs).toEqual([]);
      expect(notices).toEqual([expect.stringMatching(/^All of these are outputs/)]);
    },
  );

  test('a token map alone is told to be none of classes', async () => {
    const { notices } = await importModel(file('token-output/tokens_only'));
    expect(notices).toEqual([expect.stringMatching(/\[17, \d+\] is no vector of classes/)]);
  });

  test.each([
    ['argmax_head', 'ArgMax'],
    ['topk_head', 'TopK'],
    ['logsoftmax_head', 'LogSoftmax'],
    ['sigmoid_head', 'Sigmoid'],
  ])('tail-ops/%s', async (name, op) => {
    const { notices } = await importModel(file(`tail-ops/${name}`));
    expect(notices[0]).toMatch(new RegExp(`^The ${op} at the end .*is taken off`));
  });

  test.each([
    ['q4', /quantized already, to 4 bits/, /float model/],
    ['tail-ops/train_mode_ts', /training mode/, /model\.eval/],
  ])('%s is refused with its own remedy', async (name, reason, remedy) => {
    await expect(importModel(file(name))).rejects.toMatchObject({
      problems: expect.arrayContaining([
        expect.objectContaining({ reason: expect.stringMatching(reason), remedy: expect.stringMatching(remedy) }),
      ]),
    });
  });
});
