import { InputError } from '../errors.js';
import type { OnnxModel, OnnxTensor } from '../onnx/index.js';
import type { ImageInput } from './inputs.js';
import { MAX_EDGE } from './limits.js';
import type { LiveGraph } from './translate.js';

export type Size = readonly [height: number, width: number];

/** Which of the input's dimensions the file fixes. */
export function fixedDimensions(input: ImageInput): { batch: boolean; height: boolean; width: boolean } {
  const [batch, , height, width] = channelsFirst(input).map(isFixed);
  return { batch, height, width };
}

/** How many images the file takes at once; 1 where it leaves it open. */
export function fixedBatch(input: ImageInput): number {
  const [batch] = channelsFirst(input);
  return isFixed(batch) ? batch : 1;
}

/** The dimensions as [batch, channels, height, width], however the image lies. */
function channelsFirst({ shape, layout }: ImageInput): readonly (number | string | null)[] {
  return layout === 'nchw' ? shape! : [0, 3, 1, 2].map((axis) => shape![axis]);
}

const isFixed = (dim: number | string | null): dim is number => typeof dim === 'number' && dim > 0;

/**
 * The input shapes to try, likeliest first: the file's own where it is fixed, else the asked-for size, else sizes that
 * the patch size and the position embedding suggest.
 */
export function imageShapes(model: OnnxModel, live: LiveGraph, asked: Size | undefined): number[][] {
  const [batch, channels, height, width] = channelsFirst(live.input);
  const count = isFixed(channels) ? channels : 3;
  const sizes =
    isFixed(height) && isFixed(width) ? [[height, width] as Size] : asked ? [asked] : likelySizes(model, live);
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
    return shape;
  });
}

/** Square sizes whose number of patches matches some constant [1, tokens, channels], with 0 to 8 extra tokens. */
function likelySizes(model: OnnxModel, live: LiveGraph): Size[] {
  const conv = live.nodes.find((node) => node.opType === 'Conv');
  const strides = conv?.attributes.get('strides')?.value;
  const patch = strides?.type === 'ints' ? strides.numbers[0] : 16;
  const sizes = new Set<number>();
  const grids = new Set<number>();
  const consider = (tensor: OnnxTensor): void => {
    const { dims } = tensor;
    if (dims.length !== 3 || dims[0] !== 1 || dims[1] < 2) return;
    for (const extra of [1, 0, 2, 5, 4, 3, 6, 7, 8]) {
      const grid = Math.sqrt(dims[1] - extra);
      if (Number.isInteger(grid) && grid > 0) grids.add(grid);
    }
  };
  for (const tensor of model.graph.initializers.values()) consider(tensor);
  for (const node of live.nodes) {
    const value = node.attributes.get('value')?.value;
    if (node.opType === 'Constant' && value?.type === 'tensor') consider(value.tensor);
  }
  for (const grid of grids) sizes.add(grid * patch);
  for (const usual of [224, 256, 384, 32]) sizes.add(usual);
  return [...sizes].map((size) => [size, size]);
}
