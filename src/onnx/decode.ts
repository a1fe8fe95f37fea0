import protobuf from 'protobufjs/minimal.js';
import { InputError } from '../errors.js';
import { recognize } from './recognize.js';
import type {
  AttributeValue,
  OnnxAttribute,
  OnnxFunction,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxValueInfo,
} from './types.js';

type Reader = protobuf.Reader;

/** Subgraphs and tensors inside attributes may nest; no exporter goes deeper than a few levels. */
const MAX_DEPTH = 32;

/**
 * Decodes ModelProto (onnx.proto3, IR version 3 and later). Byte fields are views into `bytes`, nothing is copied.
 * Written out field by field, since the tensors of a large model must not pass through JavaScript arrays, and newer
 * fields (node metadata, function defaults) are wanted too.
 * @throws {InputError} where `bytes` is not a complete ONNX file.
 */
export function decodeModel(bytes: Uint8Array, path: string): OnnxModel {
  if (bytes.length === 0) throw new InputError(`${path} is empty (0 bytes): export the model again`);
  const other = recognize(bytes);
  if (other) throw new InputError(`${path} is no ONNX model but ${other.what}: ${other.remedy}`);
  let model: OnnxModel | null;
  try {
    model = readModel(protobuf.Reader.create(bytes));
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(
      `${path} is not a complete ONNX file (${(error as Error).message}): it is truncated or of another format; ` +
        'export it, or copy it, again',
    );
  }
  if (!model)
    throw new InputError(`${path} holds no ONNX graph: it is truncated or of another format; export it again`);
  return model;
}

/** Calls `field` for every field of a message; `field` returns false for fields it does not read, which are skipped. */
function fields(reader: Reader, length: number | null, field: (id: number, wire: number) => boolean): void {
  const end = length === null ? reader.len : reader.pos + length;
  if (end > reader.len) throw new RangeError('a field reaches beyond the end');
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag >>> 3 === 0) throw new RangeError('invalid field number 0');
    if (!field(tag >>> 3, tag & 7)) reader.skipType(tag & 7);
  }
  if (reader.pos !== end) throw new RangeError('a field reaches beyond its message');
}

/** Calls `field` for every field of the length-delimited message that comes next. */
const message = (reader: Reader, field: (id: number, wire: number) => boolean): void =>
  fields(reader, reader.uint32(), field);

/** 64-bit numbers beyond 2^53 are rounded: only "until the end" markers and damaged files hold such. */
function int64(reader: Reader): number {
  const value = reader.int64();
  return typeof value === 'number' ? value : value.high * 2 ** 32 + (value.low >>> 0);
}

function uint64(reader: Reader): number {
  const value = reader.uint64();
  return typeof value === 'number' ? value : (value.high >>> 0) * 2 ** 32 + (value.low >>> 0);
}

function readEntry(reader: Reader, into: Map<string, string>): void {
  let key = '';
  let value = '';
  message(reader, (id) => {
    if (id === 1) key = reader.string();
    else if (id === 2) value = reader.string();
    else return false;
    return true;
  });
  into.set(key, value);
}

function readModel(reader: Reader): OnnxModel | null {
  let irVersion = 0;
  let producer = '';
  let producerVersion = '';
  const opsets = new Map<string, number>();
  const metadata = new Map<string, string>();
  let graph: OnnxGraph | null = null;
  const functions: OnnxFunction[] = [];
  fields(reader, null, (id) => {
    if (id === 1) irVersion = int64(reader);
    else if (id === 2) producer = reader.string();
    else if (id === 3) producerVersion = reader.string();
    else if (id === 7) graph = readGraph(reader, 0);
    else if (id === 8) readOpset(reader, opsets);
    else if (id === 14) readEntry(reader, metadata);
    else if (id === 25) functions.push(readFunction(reader));
    else return false;
    return true;
  });
  return graph && { irVersion, producer, producerVersion, opsets, metadata, graph, functions };
}

function readOpset(reader: Reader, into: Map<string, number>): void {
  let domain = '';
  let version = 0;
  message(reader, (id) => {
    if (id === 1) domain = reader.string();
    else if (id === 2) version = int64(reader);
    else return false;
    return true;
  });
  into.set(standardDomain(domain), version);
}

const standardDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);

function readFunction(reader: Reader): OnnxFunction {
  let name = '';
  let domain = '';
  const inputs: string[] = [];
  const outputs: string[] = [];
  const nodes: OnnxNode[] = [];
  const defaults: OnnxAttribute[] = [];
  message(reader, (id) => {
    if (id === 1) name = reader.string();
    else if (id === 4) inputs.push(reader.string());
    else if (id === 5) outputs.push(reader.string());
    else if (id === 7) nodes.push(readNode(reader, 1));
    else if (id === 10) domain = reader.string();
    else if (id === 11) defaults.push(readAttribute(reader, 1));
    else return false;
    return true;
  });
  return { name, domain: standardDomain(domain), inputs, outputs, nodes, defaults };
}

function readGraph(reader: Reader, depth: number): OnnxGraph {
  if (depth > MAX_DEPTH) throw new RangeError('subgraphs nest too deeply');
  let name = '';
  const nodes: OnnxNode[] = [];
  const initializers = new Map<string, OnnxTensor>();
  const inputs: OnnxValueInfo[] = [];
  const outputs: OnnxValueInfo[] = [];
  message(reader, (id) => {
    if (id === 1) nodes.push(readNode(reader, depth));
    else if (id === 2) name = reader.string();
    else if (id === 5) {
      const tensor = readTensor(reader);
      initializers.set(tensor.name, tensor);
    } else if (id === 11) inputs.push(readValueInfo(reader));
    else if (id === 12) outputs.push(readValueInfo(reader));
    else if (id === 15) throw new InputError('the model holds sparse initializers: export it again with dense weights');
    else return false;
    return true;
  });
  return { name, nodes, initializers, inputs, outputs };
}

function readNode(reader: Reader, depth: number): OnnxNode {
  let name = '';
  let opType = '';
  let domain = '';
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, OnnxAttribute>();
  const metadata = new Map<string, string>();
  message(reader, (id) => {
    if (id === 1) inputs.push(reader.string());
    else if (id === 2) outputs.push(reader.string());
    else if (id === 3) name = reader.string();
    else if (id === 4) opType = reader.string();
    else if (id === 5) {
      const attribute = readAttribute(reader, depth);
      attributes.set(attribute.name, attribute);
    } else if (id === 7) domain = reader.string();
    else if (id === 9) readEntry(reader, metadata);
    else return false;
    return true;
  });
  return { name, opType, domain: standardDomain(domain), inputs, outputs, attributes, metadata };
}

/** AttributeProto.AttributeType. */
const ATTRIBUTE_TYPES = [
  'undefined',
  'float',
  'int',
  'string',
  'tensor',
  'graph',
  'floats',
  'ints',
  'strings',
] as const;

function readAttribute(reader: Reader, depth: number): OnnxAttribute {
  let name = '';
  let reference = '';
  let declared = 0;
  const found: { type: (typeof ATTRIBUTE_TYPES)[number] } = { type: 'undefined' };
  let number = 0;
  let text = '';
  let tensor: OnnxTensor | null = null;
  let graph: OnnxGraph | null = null;
  const numbers: number[] = [];
  const texts: string[] = [];
  message(reader, (id, wire) => {
    if (id === 1) name = reader.string();
    else if (id === 21) reference = reader.string();
    else if (id === 20) declared = reader.int32();
    else if (id === 2) [found.type, number] = ['float', reader.float()];
    else if (id === 3) [found.type, number] = ['int', int64(reader)];
    else if (id === 4) [found.type, text] = ['string', utf8(reader.bytes())];
    else if (id === 5) [found.type, tensor] = ['tensor', readTensor(reader)];
    else if (id === 6) [found.type, graph] = ['graph', readGraph(reader, depth + 1)];
    else if (id === 7) {
      found.type = 'floats';
      repeated(reader, wire, () => numbers.push(reader.float()));
    } else if (id === 8) {
      found.type = 'ints';
      repeated(reader, wire, () => numbers.push(int64(reader)));
    } else if (id === 9) {
      found.type = 'strings';
      texts.push(utf8(reader.bytes()));
    } else return false;
    return true;
  });
  const type = ATTRIBUTE_TYPES[declared] ?? 'undefined';
  return { name, reference, value: attributeValue(type === 'undefined' ? found.type : type) };

  function attributeValue(kind: (typeof ATTRIBUTE_TYPES)[number]): AttributeValue {
    switch (kind) {
      case 'float':
      case 'int':
        return { type: kind, number };
      case 'string':
        return { type: kind, text };
      case 'floats':
      case 'ints':
        return { type: kind, numbers };
      case 'strings':
        return { type: kind, texts };
      case 'tensor':
        return tensor ? { type: kind, tensor } : { type: 'other' };
      case 'graph':
        return graph ? { type: kind, graph } : { type: 'other' };
      default:
        return { type: 'other' };
    }
  }
}

const utf8 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');

/** A repeated scalar field, packed (wire type 2) or one value per tag. */
function repeated(reader: Reader, wire: number, read: () => void): void {
  if (wire !== 2) return read();
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError('a field reaches beyond the end');
  while (reader.pos < end) read();
}

function readTensor(reader: Reader): OnnxTensor {
  let name = '';
  let dataType = 0;
  let raw: Uint8Array | null = null;
  let packed: ArrayLike<number> | null = null;
  const dims: number[] = [];
  const values: number[] = [];
  let isExternal = false;
  const external = new Map<string, string>();
  message(reader, (id, wire) => {
    if (id === 1) repeated(reader, wire, () => dims.push(int64(reader)));
    else if (id === 2) dataType = reader.int32();
    else if (id === 4) {
      if (wire === 2) packed = packedFloats(reader.bytes(), 4);
      else values.push(reader.float());
    } else if (id === 5) repeated(reader, wire, () => values.push(reader.int32()));
    else if (id === 7) repeated(reader, wire, () => values.push(int64(reader)));
    else if (id === 8) name = reader.string();
    else if (id === 9) raw = reader.bytes();
    else if (id === 10) {
      if (wire === 2) packed = packedFloats(reader.bytes(), 8);
      else values.push(reader.double());
    } else if (id === 11) repeated(reader, wire, () => values.push(uint64(reader)));
    else if (id === 13) readEntry(reader, external);
    else if (id === 14) isExternal = reader.int32() === 1;
    else return false;
    return true;
  });
  const typed = packed ?? (values.length > 0 ? values : null);
  return { name, dims, dataType, raw, typed, external: isExternal ? external : null };
}

function packedFloats(bytes: Uint8Array, width: 4 | 8): ArrayLike<number> {
  const copy = new Uint8Array(bytes).buffer;
  if (bytes.length % width !== 0) throw new RangeError(`a list of ${width}-byte floats is ${bytes.length} bytes long`);
  return width === 4 ? new Float32Array(copy) : new Float64Array(copy);
}

function readValueInfo(reader: Reader): OnnxValueInfo {
  let name = '';
  let elementType = 0;
  let shape: (number | string | null)[] | null = null;
  message(reader, (id) => {
    if (id === 1) name = reader.string();
    else if (id === 2)
      message(reader, (typeId) => {
        if (typeId !== 1) return false;
        message(reader, (tensorId) => {
          if (tensorId === 1) elementType = reader.int32();
          else if (tensorId === 2) shape = readShape(reader);
          else return false;
          return true;
        });
        return true;
      });
    else return false;
    return true;
  });
  return { name, elementType, shape };
}

function readShape(reader: Reader): (number | string | null)[] {
  const shape: (number | string | null)[] = [];
  message(reader, (id) => {
    if (id !== 1) return false;
    let dimension: number | string | null = null;
    message(reader, (dimId) => {
      if (dimId === 1) dimension = int64(reader);
      else if (dimId === 2) dimension = reader.string();
      else return false;
      return true;
    });
    shape.push(dimension);
    return true;
  });
  return shape;
}
