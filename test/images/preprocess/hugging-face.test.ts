/** Against transformers' own image processors: fixtures/scripts/processor_types.py. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromHuggingFace } from '../../../src/images/preprocess/hugging-face.js';
import { applyRecipe } from '../../../src/images/preprocess/recipe.js';
import { source } from '../golden.js';

interface Case {
  readonly type: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly height: number;
  readonly width: number;
  readonly sha256: string;
  /** What a black and a white pixel become, per channel. */
  readonly black: readonly number[];
  readonly white: readonly number[];
}

const { cases } = JSON.parse(
  readFileSync(new URL('../../../fixtures/preprocess/golden.json', import.meta.url), 'utf8'),
) as { cases: Case[] };
const image = source({ kind: 'noise', seed: 7, width: 120, height: 80 });

describe("transformers' pixels", () => {
  it.each(cases.map((one) => [`${one.type} ${JSON.stringify(one.config)}`, one] as const))('%s', (_, one) => {
    const content = { image_processor_type: one.type, ...one.config };
    const found = fromHuggingFace('preprocessor_config.json', content, undefined, []);
    const size = { height: one.height, width: one.width };
    expect(found.size).toEqual(size);
    const pixels = applyRecipe(image, { size, resize: found.resize!(size), interpolation: found.interpolation! });
    expect(createHash('sha256').update(pixels).digest('hex')).toBe(one.sha256);
    const scale = found.scale ?? 1 / 255;
    [0, 1, 2].forEach((c) => {
      expect(-(found.mean![c] ?? found.mean![0]!) / (found.std![c] ?? found.std![0]!)).toBeCloseTo(one.black[c]!, 4);
      expect((255 * scale - (found.mean![c] ?? found.mean![0]!)) / (found.std![c] ?? found.std![0]!)).toBeCloseTo(
        one.white[c]!,
        4,
      );
    });
  });
});

describe('processor types beside the generated table', () => {
  const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], scale: 1 / 255 };
  const squash = (edge: number) => ({ mode: 'exact', height: edge, width: edge });

  it.each<[string, object, unknown, string, object]>([
    ['DINOv3', { image_processor_type: 'DINOv3ViTImageProcessorFast' }, undefined, 'bilinear', squash(224)],
    ['DINOv3 by its model', { size: 256 }, 'dinov3_vit', 'bilinear', squash(224)],
    ['EfficientFormer', { image_processor_type: 'EfficientFormerImageProcessor' }, undefined, 'bicubic', squash(224)],
    ['Perceiver', {}, 'perceiver', 'bicubic', { mode: 'shortest', length: 256 }],
  ])('%s', (_, content, modelType, interpolation, rule) => {
    const notices: string[] = [];
    const found = fromHuggingFace('preprocessor_config.json', { ...content }, modelType, notices);
    expect(found).toMatchObject({ ...IMAGENET, interpolation });
    expect(found.resize!({ height: 224, width: 224 })).toEqual(rule);
    expect(notices.join()).toMatch(/leaves out .*resample, image_mean, image_std: the defaults of/);
  });
});
