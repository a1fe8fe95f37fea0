/** Writes models in other float types, as converters do: every weight, input and output. */
import onnxProto from 'onnx-proto';

const { onnx } = onnxProto;

const FLOAT = 1;
export const FLOAT_TYPES = { float16: 10, float64: 11, bfloat16: 16 } as const;
export type FloatType = keyof typeof FLOAT_TYPES;

/** A float32 model, with raw weights inside, in another float type. */
export function inFloatType(model: Uint8Array, type: FloatType): Uint8Array {
  const proto = onnx.ModelProto.decode(model);
  const to = FLOAT_TYPES[type];
  const graph = proto.graph!;
  const convert = (tensor: onnxProto.onnx.ITensorProto): void => {
    if (tensor.dataType !== FLOAT) return;
    const raw = Uint8Array.from(tensor.rawData!);
    const values =
      raw.length > 0 ? new Float32Array(raw.buffer, 0, raw.length / 4) : Float32Array.from(tensor.floatData!);
    tensor.rawData = encode(values, type);
    tensor.floatData = [];
    tensor.dataType = to;
  };
  graph.initializer!.forEach(convert);
  for (const node of graph.node!) {
    for (const attribute of node.attribute!) {
      if (attribute.t) convert(attribute.t);
      if (node.opType === 'Cast' && attribute.name === 'to' && Number(attribute.i) === FLOAT) attribute.i = to;
    }
  }
  for (const info of [...graph.input!, ...graph.output!, ...graph.valueInfo!]) {
    const tensor = info.type!.tensorType!;
    if (tensor.elemType === FLOAT) tensor.elemType = to;
  }
  return onnx.ModelProto.encode(proto).finish();
}

function encode(values: Float32Array, type: FloatType): Uint8Array {
  if (type === 'float64') return new Uint8Array(Float64Array.from(values).buffer);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = type === 'bfloat16' ? Uint16Array.from(bits, (b) => b >>> 16) : Uint16Array.from(values, halfBits);
  return new Uint8Array(halves.buffer);
}

/** Cut off, not rounded; what is too small is 0. */
function halfBits(value: number): number {
  const sign = value < 0 ? 0x8000 : 0;
  const a = Math.abs(value);
  const exponent = Math.floor(Math.log2(a));
  return a < 2 ** -14 ? sign : sign | (((exponent + 15) << 10) + Math.floor((a / 2 ** exponent - 1) * 1024));
}
