import { closeSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { InputError } from '../errors.js';
import { UnsupportedModelError, describeGraph } from '../importer/index.js';
import type { ImportedModel, Problem } from '../importer/index.js';
import type { LayerDescription } from '../graph/describe.js';
import { parseRecipeFlags } from '../images/preprocess/flags.js';
import { commandOf } from '../api/command.js';
import { importWithRecipe } from '../api/recipe.js';
import { describeProgram } from '../program/describe.js';
import type { OpDescription } from '../program/describe.js';
import { loadModel } from '../program/file.js';
import { isIntegerOnly } from '../program/integer-only.js';
import { requireRegularFile } from '../regular-file.js';
import { modelSummary, outputRows } from '../model-summary.js';
import { addExamples } from './examples.js';
import { fold } from './fold.js';
import type { Fold } from './fold.js';
import { addFormatOption, printRows } from './format.js';
import type { Cells, FormatFlags } from './format.js';
import { addMemoryOption, collectNames } from './options.js';
import type { MemoryFlags } from './options.js';
import { bytes, large, notice, pairs, print, printCommand, printJson } from './render.js';
import { table } from './table.js';
import type { Column } from './table.js';

interface Flags extends MemoryFlags, FormatFlags {
  readonly size?: string;
  readonly output?: readonly string[];
}

export function addInspectCommand(program: Command): void {
  const command = program
    .command('inspect')
    .description('show what is in a float ONNX model or in an integer .ivit model')
    .argument('<model>', 'an .onnx or .ivit file')
    .option('--size <size>', 'input size N or HxW, where an ONNX model leaves it open')
    .option('--output <name>', 'an output of an ONNX model to take; may be repeated (default: all)', collectNames);
  addMemoryOption(addFormatOption(command, 'each op')).action(run);
  addExamples(command, {
    'inspect model.onnx': 'whether a model can be quantized, and its layers',
    'inspect model.ivit --format csv': 'every op of an integer model, as a table for other programs',
  });
}

async function run(model: string, flags: Flags): Promise<void> {
  if (isIvit(model)) await inspectIvit(model, flags);
  else await inspectOnnx(model, flags);
}

/** A `.ivit` file by its name, or by its first bytes: a header length, then JSON. */
function isIvit(model: string): boolean {
  const extension = path.extname(model).toLowerCase();
  if (extension === '.ivit' || extension === '.onnx') return extension === '.ivit';
  requireRegularFile(model);
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

async function inspectIvit(file: string, { format, maxMemory }: Flags): Promise<void> {
  const model = await loadModel(file, { maxMemory });
  const ops = describeProgram(model.program);
  const integerOnly = isIntegerOnly(model.program);
  const size = statSync(file).size;
  if (format === 'csv' || format === 'jsonl') return await printRows(format, OP_CELLS, ops);
  if (format === 'json') {
    const { program, ...rest } = model;
    printJson({
      path: file,
      bytes: size,
      integerOnly,
      input: program.input,
      ...rest,
      ops,
    });
    return;
  }
  const { input } = model.program;
  const summary = { ...model, input, integerOnly, bytes: size };
  print(pairs(modelSummary(summary, ops)), '', opTable(ops));
  printCommand('Repeat with', commandOf(model.provenance));
}

const OP_CELLS: Cells<OpDescription> = {
  layer: ({ name }) => name,
  op: ({ op }) => op,
  output: ({ shape }) => shape.join('x'),
  type: ({ type }) => type,
  weight_bits: ({ weightBits }) => weightBits,
  scale_least: ({ scale }) => scale?.least,
  scale_greatest: ({ scale }) => scale?.greatest,
  scale_shift: ({ scale }) => scale?.c,
  accumulator_bits: ({ accumulatorBits }) => accumulatorBits,
  parameters: ({ parameters }) => parameters,
  macs: ({ macs }) => macs,
  bytes: ({ bytes: size }) => size,
};

const right = (title: string): Column => ({ title, align: 'right' });
const LAYER_COLUMNS: readonly Column[] = [{ title: 'layer' }, right('×')];

/** Cells of a fold that say what its first member does: all are alike in them. */
const nameAndCount = ({ name, members }: Fold<unknown>): string[] => [
  name,
  members.length === 1 ? '' : String(members.length),
];

/** What fits 80 columns; `--format csv` has the rest. */
function opTable(ops: readonly OpDescription[]): string {
  const folds = fold(ops, ({ op, shape, type, weightBits }) => JSON.stringify([op, shape, type, weightBits]));
  return table(
    [...LAYER_COLUMNS, { title: 'op' }, { title: 'output' }, right('bits'), right('MAC'), right('bytes')],
    folds.map(({ name, members }) => {
      const [{ op, shape, type, weightBits, macs }] = members as [OpDescription];
      return [
        ...nameAndCount({ name, members }),
        op,
        `${shape.join('×')} ${type}`,
        weightBits === null ? '' : String(weightBits),
        macs === 0 ? '' : large(macs),
        sizeText(members.map((one) => one.bytes)),
      ];
    }),
  );
}

/** Of each member; the largest where they differ. */
function sizeText(sizes: readonly number[]): string {
  const most = Math.max(...sizes);
  return most === 0 ? '' : bytes(most);
}

async function inspectOnnx(file: string, flags: Flags): Promise<void> {
  const { graph, producer, opset, notices, bytes: size } = await importOrExplain(file, flags);
  const description = describeGraph(graph);
  const { format } = flags;
  if (format === 'csv' || format === 'jsonl') return await printRows(format, LAYER_CELLS, description.layers);
  if (format === 'json') {
    printJson({ path: file, bytes: size, producer, opset, ...description, notices, problems: [] });
    return;
  }
  const { input, heads, tokens, windows, depth, embedDim } = description;
  const known = [...new Set(heads)].filter((count) => count > 0).join(', ');
  const ofHeads = known === '' ? '' : ` of ${known} heads`;
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
        depth === 0
          ? 'none with attention'
          : `${depth}${ofHeads}, embedding of ${embedDim}, ${tokens} tokens` +
            (windows > 1 ? ` in each of ${windows} windows` : ''),
      ],
      ...outputRows(description.outputs, ''),
      ['parameters', `${large(description.parameters)}, ${large(description.macs)} MAC an image`],
    ]),
    '',
    layerTable(description.layers),
    ...(description.folded.length === 0 ? [] : ['', 'Folded:', ...description.folded.map((line) => `  ${line}`)]),
    '',
    'Everything in this model is supported.',
  );
}

/** @throws InputError where something in the model is not supported, after it was listed */
async function importOrExplain(file: string, flags: Flags): Promise<ImportedModel> {
  try {
    return (await importWithRecipe(file, parseRecipeFlags(flags), notice, flags.output)).imported;
  } catch (error) {
    if (!(error instanceof UnsupportedModelError)) throw error;
    const { format } = flags;
    if (format === 'json') printJson({ path: file, problems: error.problems });
    else if (format === 'table') print(problemTable(error.problems));
    else await printRows(format, PROBLEM_CELLS, error.problems);
    const count = error.problems.length;
    throw new InputError(
      `${file} cannot be quantized: ${count === 1 ? 'one node of it is' : `${count} nodes of it are`} not supported`,
      { cause: error },
    );
  }
}

const LAYER_CELLS: Cells<LayerDescription> = {
  layer: ({ name }) => name,
  op: ({ op }) => op,
  detail: ({ detail }) => detail,
  output: ({ shape }) => shape.join('x'),
  parameters: ({ parameters }) => parameters,
  macs: ({ macs }) => macs,
};

function layerTable(layers: readonly LayerDescription[]): string {
  return table(
    [...LAYER_COLUMNS, { title: 'op' }, { title: 'detail' }, { title: 'output' }].concat(
      right('parameters'),
      right('MAC'),
    ),
    fold(layers, ({ name: _, ...rest }) => JSON.stringify(rest)).map(({ name, members }) => {
      const [{ op, detail, shape, parameters, macs }] = members as [LayerDescription];
      return [
        ...nameAndCount({ name, members }),
        op,
        detail,
        shape.join('×'),
        parameters === 0 ? '' : large(parameters),
        macs === 0 ? '' : large(macs),
      ];
    }),
  );
}

const PROBLEM_CELLS: Cells<Problem> = {
  node: ({ node }) => node,
  op: ({ op }) => op,
  problem: ({ reason }) => reason,
  remedy: ({ remedy }) => remedy,
};

function problemTable(problems: readonly Problem[]): string {
  return table(
    [{ title: 'node' }, { title: 'op' }, { title: 'problem' }, { title: 'remedy' }],
    problems.map(({ node, op, reason, remedy }) => [node, op, reason, remedy]),
  );
}
