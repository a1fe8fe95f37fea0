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
import { FORMAT_VERSION } from '../program/model.js';
import { requireRegularFile } from '../regular-file.js';
import { OP_COLUMNS, modelSummary, opCells, outputRows } from '../model-summary.js';
import { addMemoryOption, collectNames } from './options.js';
import type { MemoryFlags } from './options.js';
import { bytes, large, notice, pairs, print, printJson } from './render.js';
import { table } from './table.js';

interface Flags extends MemoryFlags {
  readonly size?: string;
  readonly output?: readonly string[];
  readonly json?: boolean;
}

export function addInspectCommand(program: Command): void {
  const command = program
    .command('inspect')
    .description('show what is in a float ONNX model or in an integer .ivit model')
    .argument('<model>', 'an .onnx or .ivit file')
    .option('--size <size>', 'input size N or HxW, where an ONNX model leaves it open')
    .option('--output <name>', 'an output of an ONNX model to take; may be repeated (default: all)', collectNames)
    .option('--json', 'print everything as JSON');
  addMemoryOption(command).action(run);
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

async function inspectIvit(file: string, flags: Flags): Promise<void> {
  const model = await loadModel(file, { maxMemory: flags.maxMemory });
  const ops = describeProgram(model.program);
  const size = statSync(file).size;
  if (flags.json) {
    const { program, ...rest } = model;
    printJson({ path: file, bytes: size, formatVersion: FORMAT_VERSION, input: program.input, ...rest, ops });
    return;
  }
  const { input } = model.program;
  const rows = modelSummary({ ...model, input, formatVersion: FORMAT_VERSION, bytes: size }, ops);
  print(pairs([...rows, ['repeat with', commandOf(model.provenance)]]), '', opTable(ops));
}

function opTable(ops: readonly OpDescription[]): string {
  return table(
    OP_COLUMNS.map(({ title, isNumber }) => ({ title, ...(isNumber && { align: 'right' as const }) })),
    ops.map(opCells),
  );
}

async function inspectOnnx(file: string, flags: Flags): Promise<void> {
  const { graph, producer, opset, notices, bytes: size } = await importOrExplain(file, flags);
  const description = describeGraph(graph);
  if (flags.json) {
    printJson({ path: file, bytes: size, producer, opset, ...description, notices, problems: [] });
    return;
  }
  const { input, heads, tokens, windows, depth, embedDim } = description;
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
        depth === 0
          ? 'none with attention'
          : `${depth} of ${headCounts} heads, embedding of ${embedDim}, ${tokens} tokens` +
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
    if (flags.json) printJson({ path: file, problems: error.problems });
    else print(problemTable(error.problems));
    const count = error.problems.length;
    throw new InputError(
      `${file} cannot be quantized: ${count === 1 ? 'one node of it is' : `${count} nodes of it are`} not supported`,
      { cause: error },
    );
  }
}

function layerTable(layers: readonly LayerDescription[]): string {
  return table(
    [
      { title: 'layer' },
      { title: 'op' },
      { title: 'detail' },
      { title: 'output' },
      { title: 'parameters', align: 'right' },
      { title: 'MAC', align: 'right' },
    ],
    layers.map(({ name, op, detail, shape, parameters, macs }) => [
      name,
      op,
      detail,
      shape.join('×'),
      parameters === 0 ? '' : large(parameters),
      macs === 0 ? '' : large(macs),
    ]),
  );
}

function problemTable(problems: readonly Problem[]): string {
  return table(
    [{ title: 'node' }, { title: 'op' }, { title: 'problem' }, { title: 'remedy' }],
    problems.map(({ node, op, reason, remedy }) => [node, op, reason, remedy]),
  );
}
