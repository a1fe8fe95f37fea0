import { expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { cycledChannels, greyNotice, losesColour, withChannels } from '../../src/images/channels.js';
import { applyRecipe } from '../../src/images/preprocess/recipe.js';

const of = (data: readonly number[], channels?: number) => ({
  data: Uint8Array.from(data),
  width: 2,
  height: 1,
  ...(channels !== undefined && { channels }),
});

test("grey is Pillow's: red 76, green 150, blue 29 of 255, and grey stays as it is", () => {
  const image = { data: Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 77, 77, 77), width: 4, height: 1 };
  expect([...withChannels(image, 1).data]).toEqual([76, 150, 29, 77]);
  expect([...withChannels(of([3, 9], 1), 3).data]).toEqual([3, 3, 3, 9, 9, 9]);
});

test('other channels are neither made up nor dropped', () => {
  expect(() => withChannels(of([1, 2, 3, 4, 5, 6]), 4)).toThrow(InputError);
  expect(() => withChannels(of([1, 2, 3, 4], 2), 3)).toThrow(/the image has 2 channels and the model takes 3: .*\.npy/);
  expect(withChannels(of([1, 2, 3, 4], 2), 2).data).toEqual(Uint8Array.of(1, 2, 3, 4));
});

test('what is told of colours', () => {
  expect(losesColour(of([1, 1, 1, 2, 2, 2]))).toBe(false);
  expect(losesColour(of([1, 1, 1, 2, 2, 3]))).toBe(true);
  expect(greyNotice(0, 3)).toBeNull();
  expect(greyNotice(2, 3)).toMatch(/2 of 3 have colours, and were turned grey/);
});

test('made-up channels', () => {
  expect([...cycledChannels(of([1, 2, 3, 4, 5, 6]), 5).data]).toEqual([1, 2, 3, 1, 2, 4, 5, 6, 4, 5]);
});

test('each channel is resized as if it were alone', () => {
  const [width, height] = [7, 5];
  const recipe = {
    size: { height: 4, width: 4 },
    resize: { mode: 'shortest', length: 4 },
    interpolation: 'bicubic',
  } as const;
  const at = (i: number, c: number) => (i * 37 + c * 101) % 256;
  const image = (channels: readonly number[]) => ({
    data: Uint8Array.from({ length: width * height * channels.length }, (_, i) =>
      at(Math.floor(i / channels.length), channels[i % channels.length]),
    ),
    width,
    height,
    channels: channels.length,
  });
  const five = applyRecipe(image([0, 1, 2, 3, 4]), recipe, 5);
  for (const [channels, offset] of [
    [[0, 1, 2], 0],
    [[2, 3, 4], 2],
  ] as const) {
    const three = applyRecipe(image(channels), recipe, 3);
    expect([...three]).toEqual(Array.from(three, (_, i) => five[Math.floor(i / 3) * 5 + offset + (i % 3)]));
  }
});
