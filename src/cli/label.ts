import type { Command } from 'commander';
import { InputError } from '../errors.js';
import { checkOutputs } from '../api/outputs.js';
import { readLabels } from '../images/label-list.js';
import { loadModel, saveModel } from '../program/file.js';
import { classifierOf, outputSize } from '../metrics/output.js';
import { addExamples } from './examples.js';
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
  addExamples(command, {
    'label model.ivit --labels names.txt': 'class names, one a line',
  });
}

async function run(model: string, { labels: file, output, maxMemory }: Flags): Promise<void> {
  checkOutputs([{ option: '-o', path: output, kind: '.ivit model' }], [model, file]);
  const loaded = await loadModel(model, { maxMemory });
  const classifier = classifierOf(loaded.outputs);
  if (classifier === null)
    throw new InputError(
      `${model} has no classes to label: no output of it classifies. Quantize it with its classifier`,
    );
  const labels = await readLabels(file, outputSize(classifier));
  await saveModel(output ?? model, { ...loaded, labels });
  print(`Labelled the ${labels.length} classes of ${output ?? model}`);
}
