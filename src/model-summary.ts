/** What `ivit inspect` and the page tell of an integer model. */
import { labelText } from './images/label-text.js';
import { describeRecipe } from './images/preprocess/recipe.js';
import { classifierOf, describeOutput } from './metrics/output.js';
import type { ModelOutput } from './metrics/output.js';
import { bytes, large } from './number-format.js';
import type { OpDescription } from './program/describe.js';
import { NOT_INTEGER_ONLY } from './program/integer-only.js';
import type { StoredModel } from './program/model.js';
import type { Program } from './program/types.js';

export interface SummarizedModel extends Omit<StoredModel, 'program' | 'logitScale'> {
  readonly input: Program['input'];
  readonly formatVersion: number;
  readonly integerOnly: boolean;
  /** Of its file. */
  readonly bytes: number;
}

/** Names and values, one a line; a line without a name goes on with the one above. */
export function modelSummary(model: SummarizedModel, ops: readonly OpDescription[]): [string, string][] {
  const { preprocess, labels, provenance, hash } = model;
  const { height, width, channels } = model.input;
  const { source } = provenance;
  const isSynthetic = provenance.calibration.source === 'synthetic';
  const total = (key: 'parameters' | 'macs') => ops.reduce((sum, op) => sum + op[key], 0);
  return [
    ['file', `${bytes(model.bytes)}, format version ${model.formatVersion}, written by ${provenance.tool}`],
    ['content', hash.replace(/^sha256:/, '')],
    ['input', `${height}×${width}×${channels} pixels, u8; ${describeRecipe(preprocess)}`],
    ...outputRows(model.outputs, labels === null ? ', without labels' : ` (${firstLabels(labels)})`),
    ['parameters', `${large(total('parameters'))}, ${large(total('macs'))} MAC an image`],
    ['made from', `${source.name}, ${bytes(source.bytes)}, SHA-256 ${source.sha256.slice(0, 16)}…`],
    [
      'settings',
      Object.entries(provenance.settings)
        .map(([key, value]) => `${key} ${value}`)
        .join(', '),
    ],
    ['calibration', `${provenance.calibration.images} ${isSynthetic ? 'synthetic images' : 'images'}`],
    ['overflow', 'proven impossible for any image'],
    ...(model.integerOnly ? [] : [['NOT integer-only', NOT_INTEGER_ONLY] as [string, string]]),
  ];
}

/** A line for each output. */
export function outputRows(outputs: readonly ModelOutput[], labels: string): [string, string][] {
  const classifier = classifierOf(outputs);
  const tailOf = ({ tail }: ModelOutput): string => tail.map(({ op }) => `, ${op} left to display`).join('');
  const kindOf = (output: ModelOutput): string =>
    output.isClasses ? `classes${output === classifier ? labels : ''}` : 'no classes';
  return outputs.map((output, i) => [
    i > 0 ? '' : 'outputs',
    `${describeOutput(output)} ${kindOf(output)}${tailOf(output)}`,
  ]);
}

/** Letters of a label that are shown. */
const LABEL = 16;

/** A few of a model's labels. */
function firstLabels(labels: readonly string[]): string {
  const shown = labels.slice(0, 3).map(labelText);
  const short = shown.map((label) => (label.length > LABEL ? `${label.slice(0, LABEL)}…` : label));
  return `${short.join('; ')}${labels.length > 3 ? '; …' : ''}`;
}

export const OP_COLUMNS: readonly { readonly title: string; readonly isNumber?: boolean }[] = [
  { title: 'layer' },
  { title: 'op' },
  { title: 'output' },
  { title: 'type' },
  { title: 'weight bits', isNumber: true },
  { title: 'scale b / 2^c' },
  { title: 'acc. bits', isNumber: true },
  { title: 'MAC', isNumber: true },
  { title: 'bytes', isNumber: true },
];

/** What stands in each of `OP_COLUMNS` for a layer. */
export function opCells(op: OpDescription): string[] {
  return [
    op.name,
    op.op,
    op.shape.join('×'),
    op.type,
    op.weightBits === null ? '' : String(op.weightBits),
    scaleText(op.scale),
    op.accumulatorBits === null ? '' : String(op.accumulatorBits),
    op.macs === 0 ? '' : large(op.macs),
    op.bytes === 0 ? '' : bytes(op.bytes),
  ];
}

function scaleText(scale: OpDescription['scale']): string {
  if (scale === null) return '';
  const { least, greatest, c } = scale;
  return `${least === greatest ? least : `${least}…${greatest}`} / 2^${c}`;
}
