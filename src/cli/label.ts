import type { Command } from 'commander';
import { InputError } from '../errors.js';
import { checkOutputs } from '../api/outputs.js';
import { readLabels } from '../images/label-list.js';
import { loadModel, saveModel } from '../program/file.js';
import { outputShape } from '../program/output.js';
import { addMemoryOption } from './options.js';
import type { MemoryFlags } from './options.js';
import { print } from './render.js';

interface Flags extends MemoryFlags {
  readonly labels: string;
  readonly output?: string;
}

export function addLabelCommand(program: Command): void {
  const command = program
    .command('label')
    .description('give an integer model class names, or other ones')
    .argument('<model.ivit>', 'the model')
    .requiredOption('--labels <file>', 'class names: one a line, or JSON')
    .option('-o, --output <file>', 'the .ivit to write (default: the model itself)');
  addMemoryOption(command).action(run);
}

async function run(model: string, { labels: file, output, maxMemory }: Flags): Promise<void> {
  checkOutputs([{ option: '-o', path: output, kind: '.ivit model' }], [model, file]);
  const loaded = await loadModel(model, { maxMemory });
  const { classes } = outputShape(loaded.program);
  if (classes === 0) throw new InputError(`${model} gives features and has no classes to label`);
  const labels = await readLabels(file, classes);
  await saveModel(output ?? model, { ...loaded, labels });
  print(`Labelled the ${labels.length} classes of ${output ?? model}`);
}
