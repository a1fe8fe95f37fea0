import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { verify } from '../api/verify.js';
import type { Verification } from '../api/verify.js';
import { CheckError } from '../errors.js';
import { addMemoryOption, positiveInteger } from './options.js';
import type { MemoryFlags } from './options.js';
import { Progress } from './progress.js';
import { notice, print, printJson } from './render.js';
import { table } from './table.js';

interface Flags extends MemoryFlags {
  readonly against?: string;
  readonly images?: string;
  readonly minAgreement?: number;
  readonly noise: number;
  readonly seed: number;
  readonly json?: boolean;
}

export function addVerifyCommand(program: Command): void {
  const command = program
    .command('verify')
    .description('prove that an integer model is sound, cannot overflow, and runs alike everywhere')
    .argument('<model.ivit>', 'the model')
    .option('--against <model.onnx>', 'compare its decisions with those of the float model')
    .option('--images <dir>', 'images for that: a folder, or a list')
    .option('--min-agreement <share>', 'least share of images decided alike, like 0.98', share)
    .option('--noise <n>', 'images of noise to compare all backends on', positiveInteger, 4)
    .option('--seed <n>', 'seed of the noise', positiveInteger, 1)
    .option('--json', 'print everything as JSON');
  addMemoryOption(command).action(run);
}

function share(text: string): number {
  const value = Number(text.replace(/\s*%$/, '')) / (text.trimEnd().endsWith('%') ? 100 : 1);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('It must be a share between 0 and 1, or per cent like 98%.');
}

async function run(model: string, flags: Flags): Promise<void> {
  const progress = new Progress();
  let result: Verification;
  try {
    result = await verify(model, {
      ...flags,
      onProgress: (_, done, total) => progress.update('Compare', done, total),
      onNotice: notice,
    });
  } finally {
    progress.stop();
  }
  if (flags.json) printJson({ path: model, ...result });
  else printVerification(result);
  const failed = result.checks.filter(({ passed }) => !passed);
  if (failed.length > 0) throw new CheckError(`${model}: ${failed.map(({ detail }) => detail).join('; ')}`);
}

function printVerification({ checks, ops, engines }: Verification): void {
  const bits = (part: { bits: number; width: number } | null) => (part === null ? '' : `${part.bits} of ${part.width}`);
  const right = (title: string) => ({ title, align: 'right' as const });
  print(
    table(
      [{ title: 'layer' }, { title: 'op' }, right('sum, bits'), right('product, bits'), right('spare')],
      ops.map(({ name, op, accumulator, product, spare }) => [
        name,
        op,
        bits(accumulator),
        bits(product),
        spare === null ? '' : String(spare),
      ]),
    ),
    '',
    table(
      [{ title: 'engine' }, right('threads'), { title: 'logits' }],
      engines.map(({ name, threads, equal }) => [name, String(threads), equal ? 'the same' : 'DIFFERENT']),
    ),
    '',
    table(
      [{ title: 'check' }, { title: '' }, { title: '' }],
      checks.map(({ name, passed, detail }) => [name, passed ? 'holds' : 'FAILS', detail]),
    ),
  );
}
