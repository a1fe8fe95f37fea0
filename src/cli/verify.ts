import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { verify } from '../api/verify.js';
import type { Check, Verification } from '../api/verify.js';
import { CheckError } from '../errors.js';
import type { Headroom } from '../program/headroom.js';
import { addExamples } from './examples.js';
import { fold, rangeText } from './fold.js';
import { addFormatOption, printRows } from './format.js';
import type { Cells, FormatFlags } from './format.js';
import { addMemoryOption, positiveInteger } from './options.js';
import type { MemoryFlags } from './options.js';
import { Progress } from './progress.js';
import { print, printJson } from './render.js';
import { beginReading } from './stages.js';
import { table } from './table.js';

interface Flags extends MemoryFlags, FormatFlags {
  readonly against?: string;
  readonly images?: string;
  readonly minAgreement?: number;
  readonly noise: number;
  readonly seed: number;
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
    .option('--seed <n>', 'seed of the noise', positiveInteger, 1);
  addMemoryOption(addFormatOption(command, 'each check')).action(run);
  addExamples(command, {
    'verify model.ivit': 'its proofs, and all backends on images of noise',
    'verify model.ivit --against model.onnx --images photos/': "its decisions beside the float model's",
  });
}

function share(text: string): number {
  const value = Number(text.replace(/\s*%$/, '')) / (text.trimEnd().endsWith('%') ? 100 : 1);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('It must be a share between 0 and 1, or per cent like 98%.');
}

async function run(model: string, { format, ...request }: Flags): Promise<void> {
  const progress = new Progress();
  beginReading(progress, [model]);
  let result: Verification;
  try {
    result = await verify(model, {
      ...request,
      onProgress: (_, done, total) => progress.update('Compare', done, total),
      onNotice: progress.notice,
    });
  } finally {
    progress.stop();
  }
  if (format === 'json') printJson({ path: model, ...result });
  else if (format === 'table') printVerification(result);
  else await printRows(format, CELLS, result.checks);
  const failed = result.checks.filter(({ passed }) => !passed);
  if (failed.length > 0) throw new CheckError(`${model}: ${failed.map(({ detail }) => detail).join('; ')}`);
}

const CELLS: Cells<Check> = {
  check: ({ name }) => name,
  passed: ({ passed }) => passed,
  detail: ({ detail }) => detail,
};

function printVerification({ checks, ops, engines }: Verification): void {
  const right = (title: string) => ({ title, align: 'right' as const });
  const bits = (parts: readonly (Headroom['product'] | null)[]): string => {
    const most = rangeText(parts.map((part) => part?.bits ?? null));
    return most === '' ? '' : `${most} of ${parts[0]!.width}`;
  };
  print(
    table(
      [{ title: 'layer' }, right('×'), { title: 'op' }, right('sum, bits'), right('product, bits'), right('spare')],
      fold(ops, ({ op, accumulator, product }) => JSON.stringify([op, accumulator?.width, product?.width])).map(
        ({ name, members }) => [
          name,
          members.length === 1 ? '' : String(members.length),
          members[0]!.op,
          bits(members.map(({ accumulator }) => accumulator)),
          bits(members.map(({ product }) => product)),
          rangeText(members.map(({ spare }) => spare)),
        ],
      ),
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
