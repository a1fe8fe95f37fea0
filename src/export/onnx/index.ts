/** ONNX of integer operators alone. */
import { InputError } from '../../errors.js';
import type { StoredModel } from '../../program/model.js';
import { OP_KINDS } from '../../program/ops/index.js';
import type { Exported, ExportInput, ExportTarget } from '../target.js';
import { programToOnnx } from './program.js';

/** No protobuf message may be longer. */
const MAX_BYTES = 2 ** 31 - 1;

export const onnxTarget: ExportTarget = {
  describes: 'ONNX of integer operators alone: a file',
  writes: '.onnx',
  options: [],
  plansMemory: false,
  ops: OP_KINDS,
  write({ model, name }: ExportInput): Exported {
    const bytes = programToOnnx(model.program, name, metadataOf(model));
    if (bytes.length > MAX_BYTES)
      throw new InputError(
        `The model takes ${bytes.length} bytes as ONNX, and an ONNX file holds ${MAX_BYTES}: export it as C (--to c)`,
      );
    const { height, width, channels } = model.program.input;
    const { rows, cols } = model.program.ops[model.program.output - 1];
    return {
      files: new Map([[`${name}.onnx`, bytes]]),
      summary: [
        ['input', `pixels: uint8 [${height}, ${width}, ${channels}]`],
        ['output', `output: int32 [${rows}, ${cols}], one unit is ${model.logitScale}`],
      ],
    };
  },
};

/** What a `.ivit` file says beside the program, under the same names. */
function metadataOf(model: StoredModel): Record<string, string> {
  return {
    'ivit.hash': model.hash,
    'ivit.preprocess': JSON.stringify(model.preprocess),
    'ivit.outputs': JSON.stringify(model.outputs),
    'ivit.logitScale': model.logitScale,
    ...(model.labels !== null && { 'ivit.labels': JSON.stringify(model.labels) }),
  };
}
