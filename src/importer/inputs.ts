/** Which of a model's inputs is the image, how it lies, and which others can be left out. */
import { InputError } from '../errors.js';
import { dataTypeKind, dataTypeName, type OnnxNode, type OnnxValueInfo } from '../onnx/index.js';
import { Constant } from './constant.js';
import type { ExprBuilder } from './expr-builder.js';
import type { Expr } from './expr.js';

type Layout = 'nchw' | 'nhwc' | 'chw' | 'hwc';
type Dimension = number | string | null;

/** The image among a model's inputs. */
export interface ImageInput extends OnnxValueInfo {
  /** The order of its axes: batch (where there is one), channels, height and width. */
  readonly layout: Layout;
  /** True where it takes pixels of 0 to 255 as integers: it normalises them itself. */
  readonly isInteger: boolean;
}

/** Channels of satellites and microscopes; no image is so small. */
const MANY = 16;
const UINT8 = 2;
const BOOL = 9;

/** Masks of the patches that pre-training hides: DINOv2's, iBOT's, BEiT's. With none hidden it is the plain model. */
const HIDING_MASK = /^(bool_masked_pos|masks?|masked_pos|mask_indices)$/i;

/**
 * The image, and the inputs that only some exports have and that are left out.
 * @param read The inputs that the output depends on.
 * @throws {InputError} naming an input for what it is, where it is neither.
 */
export function imageInput(
  read: readonly OnnxValueInfo[],
  nodes: readonly OnnxNode[],
): { input: ImageInput; optional: OnnxValueInfo[] } {
  if (read.length === 0) throw new InputError('the output does not depend on any input: this is no image model');
  const optional = read.length > 1 ? read.filter(isOptional) : [];
  const left = read.filter((info) => !optional.includes(info));
  const isImage = (info: OnnxValueInfo | undefined): boolean => info !== undefined && isImageOf(info, nodes);
  const text = left.find(
    (info) => dataTypeKind(info.elementType) !== 'float' && !(info.elementType === UINT8 && isImage(info)),
  );
  if (text)
    throw new InputError(
      `input ${describe(text)} is no float image: this is a text model, or one that takes raw bytes; ` +
        'a Vision Transformer with an input [batch, 3, height, width] is expected',
    );
  if (left.length > 1) {
    const extra = left.find((info) => !isImage(info));
    throw new InputError(
      `the model reads ${left.length} inputs, ${left.map(describe).join(' and ')}: ` +
        (extra && /mask/i.test(extra.name)
          ? `export it without ${JSON.stringify(extra.name)}, which is a mask and no image`
          : 'export its image half alone'),
    );
  }
  const [info] = left;
  if (!isImage(info))
    throw new InputError(
      `input ${describe(info ?? read[0])} is no image: a shape [batch, 3, height, width] is expected`,
    );
  return {
    input: { ...info, layout: layoutOf(info, nodes), isInteger: dataTypeKind(info.elementType) === 'int' },
    optional,
  };
}

/** A flag that is off, or a mask that hides nothing. */
const isOptional = (info: OnnxValueInfo): boolean =>
  info.shape?.length !== 4 &&
  (info.elementType === BOOL ? !/pixel_mask|attention_mask/i.test(info.name) : HIDING_MASK.test(info.name));

/** Whether the shape, where the file gives one, is that of a batch of images, or of one image. */
function isImageOf({ name, shape }: OnnxValueInfo, nodes: readonly OnnxNode[]): boolean {
  if (shape === null || shape.length === 4) return true;
  if (shape.length !== 3) return false;
  if (shape[0] === 3 || shape[2] === 3) return true;
  // One channel: embeddings of one image have such a shape, too, but no batch is put before them.
  const readers = nodes.filter(({ inputs }) => inputs.includes(name));
  return (shape[0] === 1 || shape[2] === 1) && readers.every(({ opType }) => opType === 'Unsqueeze');
}

/** An image's dimensions as [batch, channels, height, width]; those that the file leaves open are no numbers. */
export function dimensionsOf({ shape, layout }: ImageInput): readonly Dimension[] {
  if (shape === null) return [null, null, null, null];
  switch (layout) {
    case 'nchw':
      return shape;
    case 'nhwc':
      return [shape[0], shape[3], shape[1], shape[2]];
    case 'chw':
      return [1, ...shape];
    case 'hwc':
      return [1, shape[2], shape[0], shape[1]];
  }
}

const describe = (info: OnnxValueInfo): string =>
  `${JSON.stringify(info.name)} (${dataTypeName(info.elementType)}${info.shape ? ` [${info.shape.join(', ')}]` : ''})`;

/** Channels are few, and in one place or the other; where the file leaves all open, a first transposition tells. */
function layoutOf({ name, shape }: OnnxValueInfo, nodes: readonly OnnxNode[]): Layout {
  if (shape?.length === 3) return shape[0] === 3 || (shape[0] === 1 && shape[2] !== 3) ? 'chw' : 'hwc';
  const few = (dim: Dimension): boolean => dim === 1 || dim === 3;
  const isSmall = (dim: Dimension): boolean => typeof dim === 'number' && dim > 0 && dim <= MANY;
  for (const isChannels of [few, isSmall]) {
    if (shape && isChannels(shape[1])) return 'nchw';
    if (shape && isChannels(shape[3])) return 'nhwc';
  }
  const isMoved = nodes.some((node) => {
    const perm = node.attributes.get('perm')?.value;
    return node.opType === 'Transpose' && node.inputs[0] === name && perm?.type === 'ints' && perm.numbers[1] === 3;
  });
  return isMoved && typeof shape?.[1] !== 'number' ? 'nhwc' : 'nchw';
}

/** The image as the model's own nodes read it. The canonical graph's is [1, channels, height, width], of 0 to 1. */
export function imageValue(builder: ExprBuilder, input: ImageInput, shape: readonly number[]): Expr {
  const image = builder.image(shape);
  const scaled = input.isInteger ? builder.mul(image, builder.scalar(255)) : image;
  const ordered = /c$/.test(input.layout) ? builder.transpose(scaled, [0, 2, 3, 1]) : scaled;
  return /^n/.test(input.layout) ? ordered : builder.reshape(ordered, ordered.shape.slice(1));
}

/** An optional input that is left out: zeros, of one element along each axis that the file leaves open. */
export function absentValue(builder: ExprBuilder, { elementType, shape }: OnnxValueInfo): Expr {
  const dims = (shape && (shape.length > 0 || elementType !== BOOL) ? shape : [1, 1]).map((dim) =>
    typeof dim === 'number' && dim > 0 ? dim : 1,
  );
  const zeros = new Float64Array(dims.reduce((product, dim) => product * dim, 1));
  const kind = dataTypeKind(elementType) ?? 'bool';
  return builder.constant(Constant.of(dims, kind, kind === 'float' ? Float32Array.from(zeros) : zeros, ''));
}

/** A line for each input that is left out, or that is no float image with its channels first. */
export function inputNotices(input: ImageInput, optional: readonly OnnxValueInfo[]): string[] {
  const notices = optional.map(
    (info) =>
      `Input ${describe(info)} is left out: ` +
      `${/mask/i.test(info.name) ? 'no patch is masked' : 'it is off'}, as when the model classifies.`,
  );
  if (input.isInteger)
    notices.push(`Input ${describe(input)} takes pixels of 0 to 255; what the model does to them first is folded in.`);
  return notices;
}
