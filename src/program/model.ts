/** What a `.ivit` file holds, and its encoding. Free of Node, so that a browser can read models too. */
import * as v from 'valibot';
import { MAX_INPUT_CHANNELS } from './limits.js';
import { InputError, coded } from '../errors.js';
import { parseResizeRecipe } from '../images/preprocess/recipe.js';
import type { ResizeRecipe } from '../images/preprocess/recipe.js';
import { classifierOf, outputSize, type ModelOutput } from '../metrics/output.js';
import { checkMemory, type MemoryOptions } from './budget.js';
import { proveNoOverflow } from './bounds.js';
import { decodeWeights, encodeWeights, isCoded } from './codebook.js';
import { decodeContainer, encodeContainer, malformed, quote } from './container.js';
import type { Container, Tensor, TensorData } from './container.js';
import { jsonError, parseJsonOnce } from './json.js';
import { isIntegerOnly } from './integer-only.js';
import { checkOutputs, inOrder, isDefault, outputsByDefault, outputsSchema } from './output.js';
import { narrowed, storedTypes, widened } from './narrow.js';
import { packWeights, packedBits, packedLength, unpackWeights } from './pack.js';
import { decimal, type TensorField } from './ops/definition.js';
import { parseOutline, splitProgram, tensorFields, tiedWeights } from './schema.js';
import type { OpOutline } from './schema.js';
import type { Op, Program } from './types.js';
import { validateProgram } from './validate.js';
import { checkWork } from './work.js';

/** Raised whenever older readers would misread what newer writers write. */
export const FORMAT_VERSION = 4;
/** Those that this reader knows: a file of version 3 is one of version 4 that has no tensor in a narrower type. */
const READ_VERSIONS: readonly string[] = ['3', String(FORMAT_VERSION)];

/** Everything inference needs (program, preprocess), and what people want to know about it. */
export interface IvitModel {
  readonly program: Program;
  /** How a decoded image becomes the program's input. */
  readonly preprocess: ResizeRecipe;
  /** What the numbers of the program's output are. */
  readonly outputs: readonly ModelOutput[];
  /** Class names in index order, or null. */
  readonly labels: readonly string[] | null;
  /**
   * Real value of one unit of the output, a decimal number. For display (probabilities, figures) alone: order and
   * decisions come from the integers.
   */
  readonly logitScale: string;
  readonly provenance: Provenance;
}

/** A model that was read from a file. */
export interface StoredModel extends IvitModel {
  /** Version of the file's format. */
  readonly formatVersion: number;
  /** `sha256:` and 64 hexadecimal digits: the hash of the file's content. Two files of one hash are the same model. */
  readonly hash: string;
}

/** Where a model comes from. Inference reads none of it; real numbers are decimal strings. */
export interface Provenance {
  /** Name and version of the program that wrote the file. */
  readonly tool: string;
  /**
   * The float model: file name without folder, SHA-256 of the ONNX file, bytes with external data, number of weights.
   */
  readonly source: {
    readonly name: string;
    readonly sha256: string;
    readonly bytes: number;
    readonly parameters: number;
  };
  /** What the float model expects after resizing, (pixel·scale − mean)/std: folded into the first layer. */
  readonly normalization: {
    readonly mean: readonly string[];
    readonly std: readonly string[];
    readonly scale: string;
    readonly source: string;
  };
  /** Kernel set, scales mode and the other settings of the quantizer. */
  readonly settings: Readonly<Record<string, string>>;
  readonly calibration: { readonly images: number; readonly source: string };
  /** Signal-to-quantization-noise ratio of each linear layer's output, on calibration images held out of the fit. */
  readonly layers?: readonly { readonly name: string; readonly sqnrDb: string }[];
}

/** One by which numbers may be multiplied and divided: the float model itself holds it in 32 bits. */
const positive = v.pipe(
  decimal,
  v.check(
    (digits) => Number(digits) >= 2 ** -149 && Number(digits) < 2 ** 128,
    'it is not above 0 and within the numbers of 32 bits',
  ),
);
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const provenanceSchema = v.strictObject({
  tool: v.string(),
  source: v.strictObject({
    name: v.string(),
    sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    bytes: count,
    parameters: count,
  }),
  normalization: v.strictObject({
    mean: v.pipe(v.array(decimal), v.minLength(1), v.maxLength(MAX_INPUT_CHANNELS)),
    std: v.pipe(v.array(positive), v.minLength(1), v.maxLength(MAX_INPUT_CHANNELS)),
    scale: decimal,
    source: v.string(),
  }),
  settings: v.record(v.string(), v.string()),
  calibration: v.strictObject({ images: count, source: v.string() }),
  layers: v.optional(v.array(v.strictObject({ name: v.string(), sqnrDb: decimal }))),
});
const labelsSchema = v.array(v.string());

/** SHA-256 of a byte string, as 64 lower-case hexadecimal digits. */
export type Digest = (bytes: Uint8Array) => string;

const HASH_PREFIX = 'sha256:';
const NO_HASH = HASH_PREFIX + '0'.repeat(64);
const KEY = {
  format: 'format',
  version: 'version',
  hash: 'hash',
  program: 'program',
  preprocess: 'preprocess',
  outputs: 'outputs',
  labels: 'labels',
  logitScale: 'logitScale',
  integerOnly: 'integerOnly',
  provenance: 'provenance',
} as const;

/**
 * The bytes of a `.ivit` file (docs/format.md). The same model gives the same bytes.
 *
 * @throws InputError for a model that `decodeModel` would refuse
 */
export function encodeModel(model: IvitModel, digest: Digest): Uint8Array {
  checkModel(model);
  const { json, tensors } = splitProgram(model.program);
  const metadata = new Map<string, string>([
    [KEY.format, 'ivit'],
    [KEY.version, String(FORMAT_VERSION)],
    [KEY.hash, NO_HASH],
    [KEY.program, json],
    [KEY.preprocess, JSON.stringify(parseResizeRecipe(model.preprocess, 'the model'))],
    [KEY.logitScale, model.logitScale],
    [KEY.provenance, JSON.stringify(parse(provenanceSchema, model.provenance, KEY.provenance))],
  ]);
  if (!isIntegerOnly(model.program)) metadata.set(KEY.integerOnly, 'false');
  if (!isDefault(model.outputs, model.program)) metadata.set(KEY.outputs, JSON.stringify(model.outputs.map(inOrder)));
  if (model.labels !== null) metadata.set(KEY.labels, JSON.stringify(model.labels));
  const named = new Map<string, Tensor>();
  model.program.ops.forEach((op, i) => {
    for (const { field, dtype, shape } of tensorFields(op)) {
      const held = tensors[i].get(field);
      if (held === undefined) continue;
      const data = field === 'weight' && op.op === 'linear' && isCoded(op) ? encodeWeights(op) : held;
      const bits = packedBits(op, field);
      const tensor = { shape: shape ?? [data.length], ...narrowed(dtype, data) };
      named.set(`${op.name}.${field}`, bits === null ? tensor : pack(data as Int8Array, bits));
    }
  });
  const bytes = encodeContainer({ metadata, tensors: named });
  const at = findHash(bytes, NO_HASH);
  bytes.set(new TextEncoder().encode(digest(bytes)), at + HASH_PREFIX.length);
  return bytes;
}

/**
 * Reads a `.ivit` file. Every number is checked: the program that comes out is valid and proven free of overflow.
 * Its arrays are views on `bytes`, but for weights of fewer than 8 bits, which are unpacked, and tensors in a narrower
 * type than their field's, which are widened.
 *
 * @param bytes the whole file; its buffer position must be a multiple of 8
 * @throws InputError with a one-line reason
 */
export function decodeModel(bytes: Uint8Array, digest: Digest, options: MemoryOptions = {}): StoredModel {
  try {
    return decodeFile(bytes, digest, options);
  } catch (error) {
    throw coded(error, 'BAD_IVIT');
  }
}

function decodeFile(bytes: Uint8Array, digest: Digest, options: MemoryOptions): StoredModel {
  const container = decodeContainer(bytes);
  const { metadata } = container;
  if (metadata.get(KEY.format) !== 'ivit') throw malformed('it is a safetensors file, but not one of ivit');
  const version = metadata.get(KEY.version);
  if (version === undefined || !READ_VERSIONS.includes(version)) {
    throw new InputError(
      `The file has format version ${quote(String(version))}; this ivit reads ${READ_VERSIONS.join(' and ')}. ` +
        'Quantize the model again with this ivit, or use the one that wrote it.',
    );
  }
  checkHash(bytes, metadata, digest);

  const known = new Set<string>(Object.values(KEY));
  for (const key of metadata.keys()) if (!known.has(key)) throw malformed(`it has unknown metadata ${quote(key)}`);
  const program = readProgram(container);
  checkProgram(program);
  const mark = isIntegerOnly(program) ? undefined : 'false';
  if (metadata.get(KEY.integerOnly) !== mark)
    throw malformed(
      `its ops ${mark === undefined ? 'are all of integers' : 'are not all of integers'}, and it says otherwise`,
    );
  const model = {
    program,
    preprocess: parseResizeRecipe(parseJson(metadata, KEY.preprocess), 'the .ivit file'),
    outputs: metadata.has(KEY.outputs)
      ? (parse(outputsSchema, parseJson(metadata, KEY.outputs), KEY.outputs) as ModelOutput[])
      : outputsByDefault(program),
    labels: metadata.has(KEY.labels) ? parse(labelsSchema, parseJson(metadata, KEY.labels), KEY.labels) : null,
    logitScale: text(metadata, KEY.logitScale),
    provenance: parse(provenanceSchema, parseJson(metadata, KEY.provenance), KEY.provenance),
    formatVersion: Number(version),
    hash: text(metadata, KEY.hash),
  };
  checkRest(model);
  checkMemory(model.program, options);
  checkWork(model.program);
  return model;
}

function checkModel(model: IvitModel): void {
  checkProgram(model.program);
  checkRest(model);
}

function checkProgram(program: Program): void {
  validateProgram(program);
  proveNoOverflow(program);
}

/** What goes with a program that has been checked. */
function checkRest(model: IvitModel): void {
  const { program, preprocess, outputs, labels } = model;
  const { height, width, channels } = program.input;
  const { size } = preprocess;
  if (size.height !== height || size.width !== width) {
    throw malformed(`its recipe makes ${size.height}×${size.width} pixels, its program reads ${height}×${width}`);
  }
  const { mean, std } = model.provenance.normalization;
  if (mean.length !== channels || std.length !== channels)
    throw malformed(`its normalization has ${mean.length} means and ${std.length} stds for ${channels} channels`);
  checkOutputs(outputs, program);
  const classifier = classifierOf(outputs);
  const classes = classifier === null ? 0 : outputSize(classifier);
  if (labels !== null && labels.length !== classes)
    throw malformed(`it has ${labels.length} labels for ${classes} classes`);
  parse(positive, model.logitScale, KEY.logitScale);
}

function readProgram(container: Container): Program {
  const outline = parseOutline(text(container.metadata, KEY.program));
  const unused = new Set(container.tensors.keys());
  const ops: Op[] = [];
  for (const op of outline.ops) {
    const views: Record<string, object> = {};
    const arrays: Record<string, TensorData | null> = {};
    for (const field of tensorFields(op)) {
      const name = `${op.name}.${field.field}`;
      const data = readTensor(op, field, name, container.tensors.get(name));
      unused.delete(name);
      const [first, second] = field.field.split('.');
      if (second === undefined) arrays[first] = data;
      else views[first] = { ...(op as unknown as Record<string, object>)[first], [second]: data };
    }
    if (op.op === 'linear' && op.weightsOf !== undefined) Object.assign(arrays, tiedWeights(op, ops));
    ops.push(withDecodedWeights({ ...op, ...arrays, ...views } as Op));
  }
  for (const name of unused) throw malformed(`no op owns its tensor ${quote(name)}`);
  return { input: outline.input, ops, output: outline.output };
}

function readTensor(op: OpOutline, field: TensorField, name: string, tensor: Tensor | undefined): TensorData | null {
  if (tensor === undefined) {
    if (field.optional) return null;
    throw malformed(`it has no tensor ${quote(name)}`);
  }
  const { dtype, shape } = storedForm(op, field);
  if (!storedTypes(dtype).includes(tensor.dtype))
    throw malformed(`tensor ${quote(name)} is ${tensor.dtype}, not ${storedTypes(dtype).join(', ')}`);
  const isExpected = shape === null ? tensor.shape.length === 1 : shape.join() === tensor.shape.join();
  if (!isExpected)
    throw malformed(
      `tensor ${quote(name)} has shape [${tensor.shape.join(', ')}], not [${(shape ?? ['any']).join(', ')}]`,
    );
  const bits = packedBits(op, field.field);
  return bits === null ? widened(dtype, tensor.data) : unpackWeights(tensor.data as Uint8Array, countOf(field), bits);
}

/** A tensor's type and shape in the file. */
function storedForm(op: OpOutline, field: TensorField): Pick<TensorField, 'dtype' | 'shape'> {
  const bits = packedBits(op, field.field);
  return bits === null ? field : { dtype: 'U8', shape: [packedLength(countOf(field), bits)] };
}

function countOf({ shape }: TensorField): number {
  return shape!.reduce((count, size) => count * size, 1);
}

function pack(data: Int8Array, bits: number): Tensor {
  const packed = packWeights(data, bits);
  return { dtype: 'U8', shape: [packed.length], data: packed };
}

/** The op of a file, whose coded weights are codes so far. */
function withDecodedWeights(op: Op): Op {
  if (op.op !== 'linear' || !isCoded(op) || op.weightsOf !== undefined) return op;
  return { ...op, weight: decodeWeights(op.weight, op.inFeatures, op) };
}

/** The hash is that of the whole file with its own digits replaced by zeros. */
function checkHash(bytes: Uint8Array, metadata: ReadonlyMap<string, string>, digest: Digest): void {
  const hash = text(metadata, KEY.hash);
  if (!/^sha256:[0-9a-f]{64}$/.test(hash)) throw malformed('its hash is not a SHA-256');
  const at = findHash(bytes, hash) + HASH_PREFIX.length;
  const digits = bytes.slice(at, at + 64);
  bytes.fill(0x30, at, at + 64);
  const found = digest(bytes);
  bytes.set(digits, at);
  if (HASH_PREFIX + found !== hash) throw malformed('its content does not match its hash: the file is damaged');
}

/** Where the hash stands in the header: once, or the file is not ours. */
function findHash(bytes: Uint8Array, hash: string): number {
  const headerEnd = 8 + Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  // One character a byte, and ASCII as it is: what is found there stands in the same place of the bytes.
  const header = new TextDecoder('latin1').decode(bytes.subarray(0, headerEnd));
  const wanted = `"${KEY.hash}":"${hash}"`;
  const found = header.indexOf(wanted);
  if (header.includes(wanted, found + 1)) throw malformed('it gives its hash twice');
  if (found < 0) throw malformed('its hash is not written as the format says');
  return found + `"${KEY.hash}":"`.length;
}

function text(metadata: ReadonlyMap<string, string>, key: string): string {
  const value = metadata.get(key);
  if (value === undefined) throw malformed(`it has no metadata ${quote(key)}`);
  return value;
}

function parseJson(metadata: ReadonlyMap<string, string>, key: string): unknown {
  try {
    return parseJsonOnce(text(metadata, key));
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw malformed(`its metadata ${quote(key)} cannot be read: ${jsonError(error)}`);
  }
}

function parse<S extends v.GenericSchema>(schema: S, value: unknown, key: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const where = v.getDotPath(issue);
  throw malformed(
    `its ${key}${where === null ? '' : ` at ${quote(where)}`} cannot be used: ` +
      `${issue.message.replace(/\s+/g, ' ').slice(0, 200)}`,
  );
}
