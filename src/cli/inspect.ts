import { closeSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { InputError } from '../errors.js';
import { UnsupportedModelError, describeGraph } from '../importer/index.js';
import type { ImportedModel, Problem } from '../importer/index.js';
import { labelText } from '../images/labels.js';
import { describeRecipe } from '../images/preprocess/recipe.js';
import { parseRecipeFlags } from '../images/preprocess/flags.js';
import { importWithRecipe } from '../api/recipe.js';
import { describeProgram } from '../program/describe.js';
import type { OpDescription } from '../program/describe.js';
import { loadModel } from '../program/file.js';
import { FORMAT_VERSION, classCount } from '../program/model.js';
import type { IvitModel } from '../program/model.js';
import { bytes, large, notice, pairs, print, printJson } from './render.js';
import { table } from './table.js';

interface Flags {
  readonly size?: string;
  readonly json?: boolean;
}

export function addInspectCommand(program: Command): void {
  program
    .command('inspect')
    .description('show what is in a float ONNX model or in an integer .ivit model')
    .argument('<model>', 'an .onnx or .ivit file')
    .option('--size <size>', 'input size N or HxW, where an ONNX model leaves it open')
    .option('--json', 'print everything as JSON')
    .action(run);
}

async function run(model: string, flags: Flags): Promise<void> {
  if (isIvit(model)) await inspectIvit(model, flags);
  else await inspectOnnx(model, flags);
}

/** A `.ivit` file by its name, or by its first bytes: a header length, then JSON. */
function isIvit(model: string): boolean {
  const extension = path.extname(model).toLowerCase();
  if (extension === '.ivit' || extension === '.onnx') return extension === '.ivit';
  const start = new Uint8Array(9);
  try {
    const handle = openSync(model, 'r');
    readSync(handle, start);
    closeSync(handle);
  } catch {
    return false;
  }
  return start[8] === '{'.charCodeAt(0);
}

async function inspectIvit(file: string, flags: Flags): Promise<void> {
  const model = await loadModel(file);
  const ops = describeProgram(model.program);
  const size = statSync(file).size;
  if (flags.json) {
    const { program, ...rest } = model;
    printJson({ path: file, bytes: size, formatVersion: FORMAT_VERSION, input: program.input, ...rest, ops });
    return;
  }
  print(pairs(summaryOf(model, ops, size)), '', opTable(ops));
}

function summaryOf(model: IvitModel, ops: readonly OpDescription[], size: number): [string, string][] {
  const { program, preprocess, labels, provenance } = model;
  const { height, width, channels } = program.input;
  const total = (key: 'parameters' | 'macs') => ops.reduce((sum, op) => sum + op[key], 0);
  return [
    ['file', `${bytes(size)}, format version ${FORMAT_VERSION}, written by ${provenance.tool}`],
    ['input', `${height}×${width}×${channels} pixels, u8; ${describeRecipe(preprocess)}`],
    [
      'outputs',
      `${classCount(program)}${labels === null ? ', without labels' : ` (${labels.slice(0, 3).map(labelText).join('; ')}${labels.length > 3 ? '; …' : ''})`}`,
    ],
    ['parameters', `${large(total('parameters'))}, ${large(total('macs'))} MAC an image`],
    [
      'made from',
      `${provenance.source.name}, ${bytes(provenance.source.bytes)}, SHA-256 ${provenance.source.sha256.slice(0, 16)}…`,
    ],
    [
      'settings',
      Object.entries(provenance.settings)
        .map(([key, value]) => `${key} ${value}`)
        .join(', '),
    ],
    [
      'calibration',
      `${provenance.calibration.images} ${provenance.calibration.source === 'synthetic' ? 'synthetic images' : 'images'}`,
    ],
    ['overflow', 'proven impossible for any image'],
  ];
}

function opTable(ops: readonly OpDescription[]): string {
  const right = 'right' as const;
  return table(
    [
      { title: 'layer' },
      { title: 'op' },
      { title: 'output' },
      { title: 'type' },
      { title: 'weight bits', align: right },
      { title: 'scale b / 2^c' },
      { title: 'acc. bits', align: right },
      { title: 'MAC', align: right },
      { title: 'bytes', align: right },
    ],
    ops.map((op) => [
      op.name,
      op.op,
      op.shape.join('×'),
      op.type,
      op.weightBits === null ? '' : String(op.weightBits),
      scaleText(op.scale),
      op.accumulatorBits === null ? '' : String(op.accumulatorBits),
      op.macs === 0 ? '' : large(op.macs),
      op.bytes === 0 ? '' : bytes(op.bytes),
    ]),
  );
}

function scaleText(scale: OpDescription['scale']): string {
  if (scale === null) return '';
  const { least, greatest, c } = scale;
  return `${least === greatest ? least : `${least}…${greatest}`} / 2^${c}`;
}

async function inspectOnnx(file: string, flags: Flags): Promise<void> {
  let imported: ImportedModel;
  try {
    ({ imported } = await importWithRecipe(file, parseRecipeFlags(flags), notice));
  } catch (error) {
    if (!(error instanceof UnsupportedModelError)) throw error;
    if (flags.json) printJson({ path: file, problems: error.problems });
    else print(problemTable(error.problems));
    const count = error.problems.length;
    throw new InputError(
      `${file} cannot be quantized: ${count === 1 ? 'one node of it is' : `${count} nodes of it are`} not supported`,
      { cause: error },
    );
  }
  const { graph, producer, opset, notices, bytes: size } = imported;
  const description = describeGraph(graph);
  if (flags.json) {
    printJson({ path: file, bytes: size, producer, opset, ...description, notices, problems: [] });
    return;
  }
  const { input, heads, tokens, windows } = description;
  const headCounts = [...new Set(heads)].join(', ');
  print(
    pairs([
      ['family', description.family],
      ['file', `${bytes(size)}, opset ${opset}${producer === '' ? '' : `, written by ${producer}`}`],
      [
        'input',
        `${input.name}: ${input.height}×${input.width}×${input.channels}, patches of ${description.patch.join('×')}`,
      ],
      [
        'blocks',
        `${description.depth} of ${headCounts} heads, embedding of ${description.embedDim}, ${tokens} tokens${windows > 1 ? ` in each of ${windows} windows` : ''}`,
      ],
      ['outputs', `${description.classes} (${description.outputName})`],
      ['parameters', `${large(description.parameters)}, ${large(description.macs)} MAC an image`],
    ]),
    '',
    table(
      [
        { title: 'layer' },
        { title: 'op' },
        { title: 'detail' },
        { title: 'output' },
        { title: 'parameters', align: 'right' },
        { title: 'MAC', align: 'right' },
      ],
      description.layers.map((layer) => [
        layer.name,
        layer.op,
        layer.detail,
        layer.shape.join('×'),
        layer.parameters === 0 ? '' : large(layer.parameters),
        layer.macs === 0 ? '' : large(layer.macs),
      ]),
    ),
    ...(description.folded.length === 0 ? [] : ['', 'Folded:', ...description.folded.map((line) => `  ${line}`)]),
    '',
    'Everything in this model is supported.',
  );
}

function problemTable(problems: readonly Problem[]): string {
  return table(
    [{ title: 'node' }, { title: 'op' }, { title: 'problem' }, { title: 'remedy' }],
    problems.map(({ node, op, reason, remedy }) => [node, op, reason, remedy]),
  );
}
