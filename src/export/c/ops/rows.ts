/** Ops that compute each row from the same row of one operand. */
import type {
  ActivationOp,
  IbertGeluOp,
  LayerNormOp,
  LookupOp,
  MeanRowsOp,
  Op,
  PaperGeluOp,
  PaperNormOp,
  RescaleOp,
  SoftmaxOp,
} from '../../../program/types.js';
import { outputOf, type COp, type CStruct, type StructContext } from './definition.js';

type RowOp = Op & { readonly multiplier: Int32Array; readonly shift: number; readonly offset?: BigInt64Array };

/** A primitive of native/portable.c: its structure has the columns, fields of its own, and the output. */
function rowOp<T extends RowOp>(
  kernel: string,
  type: string,
  fields: (op: T, context: StructContext) => CStruct['fields'] = () => ({}),
): COp<T> {
  return {
    kernels: () => [kernel, type],
    struct: (op, context) => ({
      type,
      fields: { cols: op.cols, ...fields(op, context), out: outputOf(op, context, 'offset' in op ? op.offset : null) },
    }),
    // A row of results, before they are stored: so the result may replace the operand.
    scratch: ({ cols }) => 4 * cols,
    aliases: [0],
    call: ({ cols }, c) => `${kernel}(${c.self}, n, ${c.x(0, cols)}, ${c.out}, ${c.scale}, ${c.scratch});`,
  };
}

const list = (numbers: Iterable<number>): string => `{${[...numbers].join(', ')}}`;

export const layerNorm = rowOp<LayerNormOp>('ivit_portable_layer_norm', 'ivit_layer_norm', ({ center, epsilon }) => ({
  center: center ? 1 : 0,
  epsilon: `INT64_C(${epsilon})`,
}));

export const activation = rowOp<ActivationOp>('ivit_portable_activation', 'ivit_activation', ({ spacing, knots }) => ({
  spacing,
  knots: list(knots),
}));

export const lookup = rowOp<LookupOp>('ivit_portable_lookup', 'ivit_lookup', ({ table }) => ({ table: list(table) }));

export const rescale = rowOp<RescaleOp>('ivit_portable_rescale', 'ivit_rescale');

export const paperNorm = rowOp<PaperNormOp>('ivit_portable_paper_norm', 'ivit_paper_norm');

export const paperGelu = rowOp<PaperGeluOp>('ivit_portable_paper_gelu', 'ivit_paper_gelu', ({ x0 }) => ({ x0 }));

export const ibertGelu = rowOp<IbertGeluOp>('ivit_portable_ibert_gelu', 'ivit_ibert_gelu', ({ fractionBits }) => ({
  fraction_bits: fractionBits,
}));

export const softmax = rowOp<SoftmaxOp>(
  'ivit_portable_softmax',
  'ivit_row_softmax',
  ({ kind, fractionBits, scoreMultiplier, scoreShift }) => ({
    kind: kind === 'shift' ? 'IVIT_SOFTMAX_SHIFT' : 'IVIT_SOFTMAX_QUADRATIC',
    fraction_bits: fractionBits,
    score_multiplier: scoreMultiplier,
    score_shift: scoreShift,
  }),
);

export const meanRows: COp<MeanRowsOp> = {
  ...rowOp<MeanRowsOp>('ivit_portable_mean_rows', 'ivit_mean_rows', ({ group }) => ({ group })),
  aliases: [],
  call: ({ cols, group }, c) =>
    `ivit_portable_mean_rows(${c.self}, n, ${c.x(0, group * cols)}, ${c.out}, ${c.scale}, ${c.scratch});`,
};
