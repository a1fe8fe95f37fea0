import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InputError, UsageError } from '../../../src/errors.js';
import { parseRecipeFlags } from '../../../src/images/preprocess/flags.js';
import { resolveRecipe } from '../../../src/images/preprocess/resolve.js';
import type { ModelInput, RecipeSources } from '../../../src/images/preprocess/resolve.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(os.tmpdir(), 'ivit-recipe-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const fixed = (height: number, width = height): ModelInput => ({ height, width, fixed: { height: true, width: true } });
const open: ModelInput = { height: 0, width: 0, fixed: { height: false, width: false } };

const put = (name: string, content: unknown) =>
  writeFileSync(path.join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));

const resolve = (modelInput: ModelInput, rest: Partial<RecipeSources> = {}) =>
  resolveRecipe({ modelPath: path.join(folder, 'model.onnx'), modelInput, ...rest });

const HALF = [0.5, 0.5, 0.5];

describe('without any word', () => {
  it("takes ImageNet's defaults, and says so", async () => {
    const { recipe, notices } = await resolve(fixed(224));
    expect(recipe).toEqual({
      size: { height: 224, width: 224 },
      resize: { mode: 'shortest', length: 256 },
      interpolation: 'bicubic',
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
      scale: 1 / 255,
      source: "ImageNet's defaults",
    });
    expect(notices).toHaveLength(1);
    expect(notices[0]).toMatch(
      /^No pre-processing was found .*shortest edge 256, bicubic, centre crop 224×224, mean 0\.485 0\.456 0\.406/,
    );
  });

  it("scales the resize with the model's size, covering one that is not square", async () => {
    expect((await resolve(fixed(384))).recipe.resize).toEqual({ mode: 'shortest', length: 438 });
    expect((await resolve(fixed(64, 96))).recipe.resize).toEqual({ mode: 'cover', height: 73, width: 109 });
  });

  it('takes 224 where the model leaves its size open', async () => {
    const { recipe, notices } = await resolve(open);
    expect(recipe.size).toEqual({ height: 224, width: 224 });
    expect(notices.join('\n')).toMatch(/using 224×224.*--size/);
  });
});

describe('flags', () => {
  it('go before everything', async () => {
    put('preprocessor_config.json', { size: 224, resample: 2, image_mean: HALF, image_std: HALF });
    const flags = parseRecipeFlags({
      size: '96',
      cropPct: '0.9',
      mean: '0.1,0.2,0.3',
      std: '0.25',
      interpolation: 'bicubic',
    });
    const { recipe, notices } = await resolve(open, { flags, metadata: { mean: '[0,0,0]' } });
    expect(recipe).toMatchObject({
      size: { height: 96, width: 96 },
      resize: { mode: 'shortest', length: 106 },
      interpolation: 'bicubic',
      mean: [0.1, 0.2, 0.3],
      std: [0.25, 0.25, 0.25],
      source: 'flags',
    });
    expect(notices).toEqual([]);
  });

  it('leave to others what they do not say', async () => {
    put('config.json', {
      architecture: 'vit',
      pretrained_cfg: { mean: HALF, std: HALF, crop_pct: 0.9, interpolation: 'bilinear' },
    });
    const { recipe, notices } = await resolve(fixed(224), { flags: parseRecipeFlags({ resize: '230x240' }) });
    expect(recipe).toMatchObject({
      resize: { mode: 'exact', height: 230, width: 240 },
      interpolation: 'bilinear',
      mean: HALF,
      source: 'flags, config.json',
    });
    expect(notices).toEqual([]);
  });

  it('--resize N is the shorter edge', () => {
    expect(parseRecipeFlags({ resize: '256' })).toEqual({ resize: { mode: 'shortest', length: 256 } });
  });

  it('--size may repeat a fixed size, not change it', async () => {
    expect((await resolve(fixed(32), { flags: parseRecipeFlags({ size: '32x32' }) })).recipe.size).toEqual({
      height: 32,
      width: 32,
    });
    const other = resolve(fixed(32), { flags: parseRecipeFlags({ size: '64' }) });
    await expect(other).rejects.toThrow(UsageError);
    await expect(other).rejects.toThrow("--size 64×64 is not possible: the model's input is fixed at 32×32");
  });

  it.each([
    [{ size: '0' }, '--size'],
    [{ size: '224x' }, '--size'],
    [{ size: '99999' }, '--size'],
    [{ resize: 'big' }, '--resize'],
    [{ cropPct: '1.5' }, '--crop-pct'],
    [{ cropPct: '' }, '--crop-pct'],
    [{ cropPct: '0.9', resize: '256' }, '--crop-pct and --resize'],
    [{ mean: Array(17).fill('1').join(',') }, '--mean'],
    [{ mean: '1,,2' }, '--mean'],
    [{ std: '0' }, '--std'],
    [{ std: '0.2,x,0.2' }, '--std'],
  ])('%j is refused', (texts, flag) => {
    expect(() => parseRecipeFlags(texts)).toThrow(UsageError);
    expect(() => parseRecipeFlags(texts)).toThrow(flag);
  });
});

describe("Hugging Face's preprocessor_config.json", () => {
  it.each<[string, object, object]>([
    [
      'ViT: both edges, no crop',
      {
        image_processor_type: 'ViTImageProcessor',
        do_resize: true,
        size: { height: 224, width: 224 },
        resample: 2,
        image_mean: HALF,
        image_std: HALF,
        rescale_factor: 1 / 255,
      },
      { resize: { mode: 'exact', height: 224, width: 224 }, interpolation: 'bilinear', mean: HALF },
    ],
    [
      'DeiT, old form: a number is both edges, then a crop',
      {
        feature_extractor_type: 'DeiTFeatureExtractor',
        do_resize: true,
        size: 256,
        do_center_crop: true,
        crop_size: 224,
        resample: 3,
      },
      { resize: { mode: 'exact', height: 256, width: 256 }, interpolation: 'bicubic' },
    ],
    [
      'CLIP, old form: a number is the shorter edge',
      { feature_extractor_type: 'CLIPFeatureExtractor', size: 224, do_center_crop: true, crop_size: 224, resample: 3 },
      { resize: { mode: 'shortest', length: 224 } },
    ],
    [
      'DINOv2: shorter edge, crop',
      {
        image_processor_type: 'BitImageProcessor',
        size: { shortest_edge: 256 },
        do_center_crop: true,
        crop_size: { height: 224, width: 224 },
        resample: 3,
      },
      { resize: { mode: 'shortest', length: 256 } },
    ],
    [
      'ConvNext: a crop share',
      { image_processor_type: 'ConvNextImageProcessor', size: { shortest_edge: 224 }, crop_pct: 0.875 },
      { resize: { mode: 'shortest', length: 256 } },
    ],
    ['no normalisation', { size: 224, do_normalize: false, image_mean: HALF }, { mean: [0, 0, 0], std: [1, 1, 1] }],
    ['no rescaling', { size: 224, do_rescale: false }, { scale: 1 }],
    ['another rescaling', { size: 224, rescale_factor: 1 / 127.5 }, { scale: 1 / 127.5 }],
    [
      'a crop that is off',
      { size: 224, do_center_crop: false, crop_size: 200 },
      { resize: { mode: 'exact', height: 224, width: 224 } },
    ],
  ])('%s', async (_, config, expected) => {
    put('preprocessor_config.json', config);
    expect((await resolve(fixed(224))).recipe).toMatchObject(expected);
    expect((await resolve(open)).recipe.size).toEqual({ height: 224, width: 224 });
  });

  it("is scaled to the model's size, with a notice", async () => {
    put('preprocessor_config.json', {
      size: { shortest_edge: 256 },
      crop_size: 224,
      resample: 3,
      image_mean: HALF,
      image_std: HALF,
    });
    const { recipe, notices } = await resolve(fixed(112));
    expect(recipe).toMatchObject({ size: { height: 112, width: 112 }, resize: { mode: 'shortest', length: 128 } });
    expect(notices).toEqual([
      "preprocessor_config.json is for 224×224, the model's input is 112×112: resizing in proportion.",
    ]);
    put('preprocessor_config.json', { size: 256, crop_size: 224, resample: 3, image_mean: HALF, image_std: HALF });
    expect((await resolve(fixed(112, 56))).recipe.resize).toEqual({ mode: 'exact', height: 128, width: 64 });
  });

  it('without resizing', async () => {
    put('preprocessor_config.json', { do_resize: false, size: 224, image_mean: HALF, image_std: HALF, resample: 2 });
    const { recipe, notices } = await resolve(fixed(224));
    expect(recipe.resize).toEqual({ mode: 'exact', height: 224, width: 224 });
    expect(notices).toEqual([
      "preprocessor_config.json asks for images that already have the model's size; others are resized to it.",
    ]);
  });

  it('goes before config.json, whose image_size fills in', async () => {
    put('preprocessor_config.json', { image_mean: HALF, image_std: HALF, resample: 'bilinear' });
    put('config.json', { model_type: 'vit', image_size: 384, mean: 'unrelated' });
    const { recipe } = await resolve(open);
    expect(recipe).toMatchObject({
      size: { height: 384, width: 384 },
      resize: { mode: 'exact', height: 384, width: 384 },
      mean: HALF,
      interpolation: 'bilinear',
    });
    expect(recipe.source).toBe("preprocessor_config.json, ViTImageProcessor's defaults");
  });

  it('is found above onnx/', async () => {
    put('preprocessor_config.json', { size: 160, image_mean: HALF, image_std: HALF, resample: 2 });
    mkdirSync(path.join(folder, 'onnx'));
    const { recipe } = await resolve(open, { modelPath: path.join(folder, 'onnx', 'model.onnx') });
    expect(recipe).toMatchObject({ size: { height: 160, width: 160 }, mean: HALF });
  });

  it.each<[string, unknown, RegExp]>([
    ['is not JSON', '{"size": ', /preprocessor_config\.json, beside the model, is not JSON/],
    ['is no object', '[1]', /does not hold a JSON object/],
    [
      'has two means',
      { image_mean: [0.5, 0.5] },
      /mean in preprocessor_config.json has 2 numbers, .* images of 3 channels/,
    ],
    ['has no means', { image_mean: [] }, /the pre-processing value image_mean.* cannot be used/],
    ['has a zero std', { image_std: [0.5, 0, 0.5] }, /image_std/],
    ['has a size of nothing', { size: 0 }, /size/],
    ['limits the longest edge', { size: { shortest_edge: 800, longest_edge: 1333 } }, /size/],
    ['wants BGR', { do_flip_channel_order: true }, /do_flip_channel_order.*BGR/],
  ])('is refused when it %s', async (_, content, message) => {
    put('preprocessor_config.json', content);
    const attempt = resolve(fixed(224));
    await expect(attempt).rejects.toThrow(InputError);
    await expect(attempt).rejects.toThrow(message);
  });

  it('replaces a filter that is not supported, with a notice', async () => {
    put('preprocessor_config.json', { size: 224, resample: 1, image_mean: HALF, image_std: HALF });
    const { recipe, notices } = await resolve(fixed(224));
    expect(recipe.interpolation).toBe('bicubic');
    expect(notices).toEqual(['preprocessor_config.json: interpolation 1 is not supported; bicubic is used instead.']);
  });
});

describe('other files', () => {
  it.each<[string, string, object, object]>([
    [
      'processor_config.json holds the image processor',
      'processor_config.json',
      { image_processor: { image_processor_type: 'SiglipImageProcessorFast', resample: 2 }, processor_class: 'x' },
      { resize: { mode: 'exact', height: 224, width: 224 }, interpolation: 'bilinear', mean: HALF },
    ],
    [
      'feature_extractor_config.json is an older name',
      'feature_extractor_config.json',
      { feature_extractor_type: 'DeiTFeatureExtractor', size: 256, crop_size: 224 },
      { resize: { mode: 'exact', height: 256, width: 256 }, interpolation: 'bicubic', mean: HALF },
    ],
    [
      'open_clip_config.json squashes',
      'open_clip_config.json',
      { preprocess_cfg: { mean: HALF, std: HALF, interpolation: 'bicubic', resize_mode: 'squash' } },
      { resize: { mode: 'exact', height: 224, width: 224 }, mean: HALF },
    ],
    [
      "open_clip_config.json is silent: CLIP's",
      'open_clip_config.json',
      { model_cfg: { vision_cfg: { image_size: 224 } }, preprocess_cfg: {} },
      { resize: { mode: 'shortest', length: 224 }, mean: [0.48145466, 0.4578275, 0.40821073] },
    ],
    [
      "a timm wrapper's pretrained_cfg",
      'preprocessor_config.json',
      { image_processor_type: 'TimmWrapperImageProcessor', pretrained_cfg: { crop_pct: 0.9, mean: HALF, std: HALF } },
      { resize: { mode: 'shortest', length: 248 }, mean: HALF },
    ],
  ])('%s', async (_, name, content, expected) => {
    put(name, content);
    expect((await resolve(fixed(224))).recipe).toMatchObject(expected);
  });

  it('may begin with a byte order mark', async () => {
    put('preprocessor_config.json', `\uFEFF${JSON.stringify({ image_processor_type: 'ViTImageProcessor' })}`);
    expect((await resolve(fixed(224))).recipe.mean).toEqual(HALF);
  });

  it('names the file and the keys that were left out', async () => {
    put('preprocessor_config.json', { image_processor_type: 'BeitImageProcessor', image_mean: HALF, image_std: HALF });
    expect((await resolve(fixed(224))).notices).toEqual([
      'preprocessor_config.json leaves out size, resample: the defaults of BeitImageProcessor are used.',
    ]);
  });

  it.each([
    ['--mean', parseRecipeFlags({ mean: '123.675,116.28,103.53' }), '--mean 0.485,0.456,0.406'],
    ['--std', parseRecipeFlags({ std: '58.395' }), '--std 0.229,0.229,0.229'],
  ])('a %s for pixels of 0 to 255 is refused, with the right one', async (_, flags, proposed) => {
    await expect(resolve(fixed(224), { flags })).rejects.toThrow(UsageError);
    await expect(resolve(fixed(224), { flags })).rejects.toThrow(proposed);
  });

  it('a file may give them where it does not rescale, and only there', async () => {
    const file = { image_processor_type: 'ViTImageProcessor', image_mean: [123.675, 116.28, 103.53], image_std: 58 };
    put('preprocessor_config.json', { ...file, do_rescale: false });
    expect((await resolve(fixed(224))).recipe).toMatchObject({ mean: [123.675, 116.28, 103.53], scale: 1 });
    put('preprocessor_config.json', file);
    await expect(resolve(fixed(224))).rejects.toThrow(/It should be 0\.485 0\.456 0\.406/);
  });
});

describe("timm's config.json", () => {
  const timm = {
    input_size: [3, 224, 224],
    crop_pct: 0.9,
    interpolation: 'bicubic',
    mean: HALF,
    std: HALF,
    crop_mode: 'center',
  };

  it('gives everything', async () => {
    put('config.json', { architecture: 'vit_tiny_patch16_224', num_classes: 1000, pretrained_cfg: timm });
    const { recipe, notices } = await resolve(fixed(224));
    expect(recipe).toMatchObject({
      resize: { mode: 'shortest', length: 248 },
      interpolation: 'bicubic',
      mean: HALF,
      std: HALF,
      source: 'config.json',
    });
    expect(notices).toEqual([]);
  });

  it('may be flat, and squash', async () => {
    put('config.json', { architecture: 'vit', ...timm, crop_mode: 'squash', crop_pct: 1 });
    expect((await resolve(fixed(224))).recipe.resize).toEqual({ mode: 'exact', height: 224, width: 224 });
  });

  it('with a border is cropped instead, with a notice', async () => {
    put('config.json', { pretrained_cfg: { ...timm, crop_mode: 'border' } });
    const { recipe, notices } = await resolve(fixed(224));
    expect(recipe.resize).toEqual({ mode: 'shortest', length: 248 });
    expect(notices).toEqual([
      'config.json: crop_mode border is not supported; the centre crop of the image is used instead.',
    ]);
  });
});

describe('ONNX metadata', () => {
  it("uses timm's names, as JSON or plain lists", async () => {
    const metadata = {
      input_size: '[3, 96, 128]',
      crop_pct: '1.0',
      interpolation: 'bilinear',
      mean: '(0.5, 0.5, 0.5)',
      std: '0.5,0.5,0.5',
      other: 'x',
    };
    const { recipe, notices } = await resolve(open, { metadata });
    expect(recipe).toEqual({
      size: { height: 96, width: 128 },
      resize: { mode: 'cover', height: 96, width: 128 },
      interpolation: 'bilinear',
      mean: HALF,
      std: HALF,
      scale: 1 / 255,
      source: 'the ONNX metadata',
    });
    expect(notices).toEqual([]);
  });

  it('is left alone, with a notice, when it makes no sense', async () => {
    const { recipe, notices } = await resolve(fixed(224), { metadata: { mean: 'average' } });
    expect(recipe.source).toBe("ImageNet's defaults");
    expect(notices[0]).toMatch(/^the ONNX metadata: the pre-processing value mean cannot be used.*ignored\.$/);
  });
});

describe('models of other channels than RGB', () => {
  const of = (channels: number): ModelInput => ({ ...fixed(28), channels });

  it('take one number for all, or one for each', async () => {
    const one = await resolve(of(1), { flags: parseRecipeFlags({ mean: '0.1307', std: '0.3081' }) });
    expect(one.recipe).toMatchObject({ mean: [0.1307], std: [0.3081] });
    const two = await resolve(of(2), { flags: parseRecipeFlags({ mean: '0.1,0.2', std: '0.5' }) });
    expect(two.recipe).toMatchObject({ mean: [0.1, 0.2], std: [0.5, 0.5] });
    put('preprocessor_config.json', { image_mean: HALF, image_std: HALF });
    expect((await resolve(of(1))).recipe).toMatchObject({ mean: [0.5], std: [0.5] });
  });

  it('have the mean of the defaults, with the notice', async () => {
    const { recipe, assumed } = await resolve(of(1));
    expect(recipe).toMatchObject({ mean: [0.449], std: [0.226] });
    expect(assumed).toContain('mean');
  });

  it('refuse numbers of other channels', async () => {
    await expect(resolve(of(4), { flags: { mean: [0.1, 0.2, 0.3] } })).rejects.toThrow(
      '--mean has 3 numbers, and the model takes images of 4 channels: give one for each channel',
    );
  });
});
