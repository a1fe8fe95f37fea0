import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../../src/errors.js';
import type { RgbImage } from '../../../src/images/image.js';
import {
  applyRecipe,
  describeRecipe,
  parseResizeRecipe,
  resizedSize,
  resizeRecipe,
} from '../../../src/images/preprocess/recipe.js';
import type { PreprocessRecipe, ResizeRecipe, ResizeRule } from '../../../src/images/preprocess/recipe.js';
import { centerCrop, resize } from '../../../src/images/resample.js';
import { golden, source } from '../golden.js';

const size = { height: 224, width: 224 };
const shortest = (length: number): ResizeRule => ({ mode: 'shortest', length });

describe('resizedSize', () => {
  it("follows torchvision's Resize: the long edge rounds down", () => {
    expect(resizedSize({ width: 500, height: 375 }, shortest(256))).toEqual({ width: 341, height: 256 });
    expect(resizedSize({ width: 375, height: 500 }, shortest(256))).toEqual({ width: 256, height: 341 });
    expect(resizedSize({ width: 333, height: 333 }, shortest(248))).toEqual({ width: 248, height: 248 });
    expect(resizedSize({ width: 2, height: 3 }, shortest(1))).toEqual({ width: 1, height: 1 });
  });

  it("covers a box that is not square, as timm's ResizeKeepRatio", () => {
    const rule: ResizeRule = { mode: 'cover', height: 73, width: 109 };
    expect(resizedSize({ width: 500, height: 375 }, rule)).toEqual({ width: 109, height: 82 });
    expect(resizedSize({ width: 500, height: 200 }, rule)).toEqual({ width: 182, height: 73 });
    // 25 / 2 = 12.5 rounds to even
    expect(resizedSize({ width: 4, height: 25 }, { mode: 'cover', height: 2, width: 2 })).toEqual({
      width: 2,
      height: 12,
    });
  });

  it('takes an exact size as it is', () => {
    expect(resizedSize({ width: 500, height: 375 }, { mode: 'exact', height: 9, width: 7 })).toEqual({
      height: 9,
      width: 7,
    });
  });
});

describe('applyRecipe', () => {
  const edge = fc.integer({ min: 1, max: 30 });
  const rule: fc.Arbitrary<ResizeRule> = fc.oneof(
    edge.map(shortest),
    fc.record({ mode: fc.constantFrom<'exact' | 'cover'>('exact', 'cover'), height: edge, width: edge }),
  );
  const recipe = fc.record({
    size: fc.record({ height: edge, width: edge }),
    resize: rule,
    interpolation: fc.constantFrom<'bicubic' | 'bilinear'>('bicubic', 'bilinear'),
  });
  const image: fc.Arbitrary<RgbImage> = fc
    .tuple(edge, edge)
    .chain(([width, height]) =>
      fc
        .uint8Array({ minLength: 3 * width * height, maxLength: 3 * width * height })
        .map((data) => ({ data, width, height })),
    );

  for (const { expected, length, cropHeight, cropWidth, interpolation, ...one } of golden.recipes) {
    const steps = `Resize(${length}), CenterCrop(${cropHeight}, ${cropWidth})`;
    it(`equals Pillow's ${steps} of ${one.width}×${one.height}, ${interpolation}`, () => {
      const recipe: ResizeRecipe = {
        size: { height: cropHeight, width: cropWidth },
        resize: shortest(length),
        interpolation,
      };
      expect(applyRecipe(source(one), recipe)).toEqual(expected);
    });
  }

  it('is the resize, then the centre crop', () => {
    fc.assert(
      fc.property(image, recipe, (original, one) => {
        const target = resizedSize(original, one.resize);
        const resized = resize(original, target.width, target.height, one.interpolation);
        expect(applyRecipe(original, one)).toEqual(centerCrop(resized, one.size.width, one.size.height).data);
      }),
    );
  });

  it('computes only what it keeps of a very long strip', () => {
    const strip = { data: new Uint8Array(3 * 20000).fill(77), width: 20000, height: 1 };
    const one: ResizeRecipe = { size, resize: shortest(256), interpolation: 'bicubic' };
    expect(applyRecipe(strip, one)).toEqual(new Uint8Array(3 * 224 * 224).fill(77));
  });
});

describe('the stored recipe', () => {
  const whole: PreprocessRecipe = {
    size,
    resize: shortest(256),
    interpolation: 'bicubic',
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    scale: 1 / 255,
    source: 'flags',
  };

  it('holds integers alone and survives the file', () => {
    const stored: unknown = JSON.parse(JSON.stringify(resizeRecipe(whole)));
    expect(stored).toEqual({ size, resize: { mode: 'shortest', length: 256 }, interpolation: 'bicubic' });
    expect(parseResizeRecipe(stored, 'm.ivit')).toEqual(stored);
  });

  it.each<[string, object]>([
    ['size.height', { size: { height: 0, width: 224 } }],
    ['size.width', { size: { height: 224, width: 1e9 } }],
    ['resize.length', { resize: { mode: 'shortest', length: 255.5 } }],
    ['resize.mode', { resize: { mode: 'longest', length: 256 } }],
    ['resize.height', { resize: { mode: 'exact', width: 256 } }],
    ['interpolation', { interpolation: 'nearest' }],
    ['extra', { extra: 1 }],
  ])('is refused for its %s', (key, change) => {
    const parse = () => parseResizeRecipe({ ...resizeRecipe(whole), ...change }, 'm.ivit');
    expect(parse).toThrow(InputError);
    expect(parse).toThrow(`m.ivit: the pre-processing recipe is not valid at ${key}: `);
  });

  it('is described in a line', () => {
    expect(describeRecipe(whole)).toBe('shortest edge 256, bicubic, centre crop 224×224');
    expect(describeRecipe({ ...whole, resize: { mode: 'exact', ...size } })).toBe('resize to 224×224, bicubic');
    expect(describeRecipe({ ...whole, resize: { mode: 'exact', height: 256, width: 256 } })).toBe(
      'resize to 256×256, bicubic, centre crop 224×224',
    );
    expect(describeRecipe({ ...whole, resize: { mode: 'cover', height: 73, width: 109 } })).toBe(
      'cover 73×109, bicubic, centre crop 224×224',
    );
  });
});
