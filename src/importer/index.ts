import { InputError, coded } from '../errors.js';
import { dataTypeKind, loadOnnx, type OnnxModel, type TensorReader } from '../onnx/index.js';
import { isClassVector } from '../graph/output.js';
import { guessFamily } from '../graph/family.js';
import { fixedBatch, fixedDimensions, imageShapes, type ImageShape, type Size } from './image-size.js';
import { inputNotices, type ImageInput } from './inputs.js';
import { outputNotices } from './output.js';
import { idioms } from './idioms/index.js';
import { Lowerer } from './lower.js';
import { OneImage } from './one-image.js';
import { chooseNames } from '../graph/name-hints.js';
import { UnsupportedModelError } from './problems.js';
import { rewrite } from '../graph/passes/index.js';
import { liveGraph, translate, type LiveGraph, type Translated } from './translate.js';
import { lowerOutputs } from './lower-outputs.js';
import { describeGraph } from '../graph/describe.js';
import type { Graph } from '../graph/types.js';

export { UnsupportedModelError, type Problem } from './problems.js';
export { describeGraph } from '../graph/describe.js';
export { evaluateAll, evaluateGraph } from '../graph/evaluate.js';
export { graphToOnnx } from '../graph/write.js';
export type * from '../graph/types.js';

const FLOAT = 1;

export interface ImportOptions {
  /** Height and width for models that leave them dynamic. */
  readonly size?: Size;
  /** Names of the outputs to take; default: all. */
  readonly outputs?: readonly string[];
}

export interface ImportedModel {
  readonly graph: Graph;
  /** The file's own metadata_props. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Name and version of the exporter. */
  readonly producer: string;
  /** Version of the standard operator set. */
  readonly opset: number;
  /** Size of the ONNX file and its external data. */
  readonly bytes: number;
  /** How many ONNX nodes it was made from. */
  readonly operators: number;
  /** Number of weights and biases in the canonical graph. */
  readonly parameters: number;
  /** What was left out or taken off, for the user to read. */
  readonly notices: readonly string[];
  /** Names of the file's outputs that are not taken. */
  readonly otherOutputs: readonly string[];
  /**
   * True where the file, run as it is on one float image [1, channels, height, width], gives under the names of
   * `graph.outputs` what the graph gives.
   */
  readonly isPlain: boolean;
  /** Whether its input and its weights are float32. */
  readonly isFloat32: boolean;
}

/**
 * Reads a float ONNX Vision Transformer and rewrites it as a canonical graph for a batch of one image.
 * @throws {UnsupportedModelError} listing the nodes that are no part of a Vision Transformer as known here.
 * @throws {InputError} where the file is damaged, incomplete, or no image model.
 */
export async function importModel(path: string, options: ImportOptions = {}): Promise<ImportedModel> {
  try {
    return await importFile(path, options);
  } catch (error) {
    // Chains so long that idioms, which follow them by recursion, run out of stack; arrays that cannot be so long.
    if (!(error instanceof RangeError)) throw coded(error, 'BAD_ONNX');
    throw new InputError(`${path} cannot be imported, it is too large or damaged: ${error.message}`, {
      cause: error,
      code: 'BAD_ONNX',
    });
  }
}

async function importFile(path: string, options: ImportOptions): Promise<ImportedModel> {
  const { model, tensors, fileBytes } = await loadOnnx(path);
  try {
    const live = liveGraph(model, options.outputs);
    const { graph, isSizeKnown } = importGraph(model, live, tensors, options);
    const { input, output, optional } = live;
    return {
      graph,
      notices: [
        ...inputNotices(input, optional),
        ...(isSizeKnown ? [] : [sizeNotice(graph.input)]),
        ...batchNotices(input),
        ...outputNotices(output, graph.outputs),
      ],
      otherOutputs: output.others.map(({ name }) => name),
      isPlain:
        optional.length === 0 &&
        output.taken.every(({ tail }) => tail.length === 0) &&
        input.layout === 'nchw' &&
        fixedBatch(input) === 1 &&
        !input.isInteger,
      isFloat32: isFloat32(model, input),
      metadata: Object.fromEntries(model.metadata),
      producer: [model.producer, model.producerVersion].filter(Boolean).join(' '),
      opset: model.opsets.get('') ?? 0,
      bytes: fileBytes + tensors.externalBytes,
      operators: live.nodes.length,
      parameters: describeGraph(graph).parameters,
    };
  } finally {
    tensors.close();
  }
}

function isFloat32({ graph }: OnnxModel, input: ImageInput): boolean {
  const isOther = (type: number): boolean => type !== FLOAT && dataTypeKind(type) === 'float';
  // Scalars of float64 come with constants of Python.
  return (
    input.elementType === FLOAT &&
    ![...graph.initializers.values()].some((t) => t.dims.length > 0 && isOther(t.dataType))
  );
}

function importGraph(
  model: OnnxModel,
  live: LiveGraph,
  tensors: TensorReader,
  options: ImportOptions,
): { graph: Graph; isSizeKnown: boolean } {
  const { builder, value, shape, isKnown } = translateAtSize(
    model,
    live,
    tensors,
    imageShapes(model, live, options.size),
  );
  const lowerer = new Lowerer(idioms);
  const values = { get: value, opset: model.opsets.get('') ?? 17 };
  const { id, outputs } = lowerOutputs(lowerer, builder, live.output.taken, values);
  if (lowerer.problems.length > 0) throw new UnsupportedModelError(lowerer.problems);
  const { nodes, folded } = rewrite(lowerer.nodes, id, lowerer.hints);
  if (!nodes.some((node) => node.op === 'patchEmbed'))
    throw new InputError(
      'the model does not begin with patches of the image: it is no Vision Transformer as known here',
    );
  const names = chooseNames(nodes, lowerer.hints);
  const named = nodes.map((node) => ({ ...node, name: names.get(node.id)! }));
  const graph = {
    input: {
      name: live.input.name,
      channels: shape[1],
      height: shape[2],
      width: shape[3],
      fixed: fixedDimensions(live.input),
      ...(live.input.isInteger && { isInteger: true }),
    },
    nodes: named,
    output: id,
    outputs: outputs.map((output) => ({ ...output, isClasses: isClassVector({ nodes: named, output: id }, output) })),
    folded,
  };
  return { graph: { ...graph, family: guessFamily(graph) }, isSizeKnown: isKnown };
}

const sizeNotice = ({ name, height, width }: Graph['input']): string =>
  `Input ${JSON.stringify(name)} leaves the image size open, and nothing in the file says it: ${height}×${width} is ` +
  'the first of the usual ones that fits; --size gives another.';

function batchNotices(input: ImageInput): string[] {
  const batch = fixedBatch(input);
  if (batch === 1) return [];
  return [
    `Input ${JSON.stringify(input.name)} has a fixed batch of ${batch}: the images do not mix, and the model of one ` +
      'image is taken.',
  ];
}

/** A file's fixed batch is taken as one image. */
function ofOneImage(translated: Translated, batch: number): Translated {
  if (batch === 1) return translated;
  const { builder, value } = translated;
  const first = new OneImage(builder, batch);
  return { builder, value: (tensor) => first.of(value(tensor)) };
}

/** The first of the shapes for which all of the model's shapes fit each other. */
function translateAtSize(
  model: OnnxModel,
  live: LiveGraph,
  tensors: TensorReader,
  shapes: readonly ImageShape[],
): Translated & ImageShape {
  let first: unknown;
  for (const { shape, isKnown } of shapes) {
    try {
      return { ...ofOneImage(translate(model, live, tensors, shape), shape[0]), shape, isKnown };
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      first ??= error;
    }
  }
  if (shapes.length === 1 || first instanceof UnsupportedModelError) throw first;
  const tried = shapes.slice(0, 6).map(({ shape }) => shape.slice(2).join('×'));
  throw new InputError(
    `the model leaves the image size open, and none of ${tried.join(', ')} and ${shapes.length - tried.length} ` +
      'others fits: give the size it was made for (--size); ' +
      `at the first, ${(first as Error).message}`,
  );
}
