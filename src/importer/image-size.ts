import { InputError } from '../errors.js';
import type { OnnxModel, OnnxTensor } from '../onnx/index.js';
import { dimensionsOf, type ImageInput } from './inputs.js';
import { MAX_EDGE } from './limits.js';
import type { LiveGraph } from './translate.js';

export type Size = readonly [height: number, width: number];

/** Which of the input's dimensions the file fixes. */
export function fixedDimensions(input: ImageInput): { batch: boolean; height: boolean; width: boolean } {
  const [batch, , height, width] = dimensionsOf(input).map(isFixed);
  return { batch, height, width };
}

/** How many images the file takes at once; 1 where it leaves it open. */
export function fixedBatch(input: ImageInput): number {
  const [batch] = dimensionsOf(input);
  return isFixed(batch) ? batch : 1;
}

const isFixed = (dim: number | string | null): dim is number => typeof dim === 'number' && dim > 0;

/** A shape [batch, channels, height, width] to try. */
export interface ImageShape {
  readonly shape: readonly number[];
  /** False where nothing in the file speaks for its size. */
  readonly isKnown: boolean;
}

/**
 * The input shapes to try, likeliest first: the file's own where it is fixed, else the asked-for size, else sizes that
 * the patch size and the position embedding suggest, then usual ones.
 */
export function imageShapes(model: OnnxModel, live: LiveGraph, asked: Size | undefined): ImageShape[] {
  const [batch, channels, height, width] = dimensionsOf(live.input);
  const count = isFixed(channels) ? channels : channelsRead(model, live);
  const suggested = suggestedSizes(model, live);
  const sizes: readonly Size[] =
    isFixed(height) && isFixed(width)
      ? [[height, width]]
      : asked
        ? [asked]
        : [...new Set([...suggested, ...USUAL])].map((size) => [size, size]);
  return sizes.map(([h, w]) => {
    const shape = [isFixed(batch) ? batch : 1, count, isFixed(height) ? height : h, isFixed(width) ? width : w];
    if (asked && (shape[2] !== asked[0] || shape[3] !== asked[1]))
      throw new InputError(
        `the model is made for images of ${shape[2]}×${shape[3]}, not ${asked[0]}×${asked[1]}: leave the size out, ` +
          'or export it anew',
        { code: 'BAD_SETTING' },
      );
    if (shape[2] > MAX_EDGE || shape[3] > MAX_EDGE)
      throw new InputError(
        `the model takes images of ${shape[2]}×${shape[3]}: sides of at most ${MAX_EDGE} are supported`,
      );
    return { shape, isKnown: sizes.length === 1 || suggested.includes(h) };
  });
}

/** How many channels the convolution reads that the image goes into; 3 where there is none. */
function channelsRead(model: OnnxModel, live: LiveGraph): number {
  const conv = live.nodes.find(({ opType, inputs }) => opType === 'Conv' && inputs[0] === live.input.name);
  const perGroup = conv && model.graph.initializers.get(conv.inputs[1])?.dims[1];
  const group = conv?.attributes.get('group')?.value;
  return perGroup === undefined ? 3 : perGroup * (group?.type === 'int' ? group.number : 1);
}

/** Sides of images that networks are made for, likeliest first; the last few are those of small examples. */
const USUAL = [224, 256, 384, 512, 448, 336, 240, 288, 320, 192, 160, 128, 96, 64, 32, 28, 518, 640, 768, 1024];

/** Sides of square images whose patches, with 0 to 8 extra tokens, some constant [1, tokens, channels] is made for. */
function suggestedSizes(model: OnnxModel, live: LiveGraph): number[] {
  const conv = live.nodes.find((node) => node.opType === 'Conv');
  const strides = conv?.attributes.get('strides')?.value;
  const patch = strides?.type === 'ints' ? strides.numbers[0] : 16;
  const grids = new Set<number>();
  const consider = (tensor: OnnxTensor): void => {
    const { dims } = tensor;
    if (dims.length !== 3 || dims[0] !== 1 || dims[1] < 2) return;
    for (const extra of [1, 0, 2, 5, 4, 3, 6, 7, 8]) {
      const grid = Math.sqrt(dims[1] - extra);
      // One patch alone would be repeated to fit any position embedding.
      if (Number.isInteger(grid) && grid > 1) grids.add(grid);
    }
  };
  for (const tensor of model.graph.initializers.values()) consider(tensor);
  for (const node of live.nodes) {
    const value = node.attributes.get('value')?.value;
    if (node.opType === 'Constant' && value?.type === 'tensor') consider(value.tensor);
  }
  return [...grids].map((grid) => grid * patch);
}
