import { operandsOf } from '../../program/operands.js';
import type { Program } from '../../program/types.js';
import { IntegerGraph } from './graph.js';
import { writeOp } from './ops/index.js';
import type { GraphValue } from './value.js';

/** Names of the exported graph's input, u8 [height, width, channels], and of its output, i32 [rows, cols]. */
const INPUT = 'pixels';
const OUTPUT = 'output';

/**
 * A program as an ONNX file of integer operators of the standard domain: no value of it is a float. It gives the
 * integers of `src/kernels`.
 */
export function programToOnnx(
  program: Program,
  name: string,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const { height, width, channels } = program.input;
  const g = new IntegerGraph();
  const image = { name: INPUT, type: 'uint8' } as const;
  const out = { type: 'u8', zero: 0 } as const;
  const rows = height * width;
  const values: GraphValue[] = [
    { out, rows, cols: channels, data: g.reshape(image, [rows, channels]), rowScale: null },
  ];
  for (const op of program.ops) {
    g.layer = op.name;
    const operands = operandsOf(op).map((id) => values[id]);
    values.push(writeOp(g, op, operands, program.input));
  }
  const result = values[program.output];
  return g.encode(
    name,
    [{ ...image, shape: [height, width, channels] }],
    [{ name: OUTPUT, type: 'int32', shape: [result.rows, result.cols], of: result.data }],
    metadata,
  );
}
