import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { parseRecipeFlags } from '../images/preprocess/flags.js';
import { UsageError } from '../errors.js';
import { observe } from '../api/observe.js';
import { checkQuantizeRequest, quantize } from '../api/quantize.js';
import type { QuantizeSummary } from '../api/summary.js';
import type { QuantizeRequest } from '../api/requests.js';
import { DEFAULT_OPTIONS, EFFORTS, KERNEL_SETS, METHODS, SCALE_MODES } from '../quantize/index.js';
import type { LayerBits, PatternBits, Target, WeightBits, QuantizeOptions } from '../quantize/index.js';
import { decisionTable, recognizedText } from './decisions.js';
import { addExamples } from './examples.js';
import {
  addRecipeOptions,
  addThreadsOption,
  atLeastTwo,
  choice,
  collectNames,
  collecting,
  fileSize,
} from './options.js';
import type { RecipeOptionValues } from './options.js';
import { commandLine } from '../api/command.js';
import { parseShard, shardFrom } from './shard.js';
import type { ShardFlag } from './shard.js';
import { compileKernels, noticeSlowRuntime } from './kernels.js';
import { Progress } from './progress.js';
import { warnOfAgreement } from './quantize-warnings.js';
import { similarityRows } from './similarity.js';
import { beginReading, quantizeSteps, stageName } from './stages.js';
import {
  bytes,
  decibels,
  large,
  oneLine,
  pairs,
  percent,
  print,
  printCommand,
  printJson,
  seconds,
  significant,
  someOf,
  warn,
  warningsTold,
} from './render.js';

interface Flags
  extends RecipeOptionValues, Partial<Omit<QuantizeOptions, 'weightBits' | 'layerWeightBits' | 'target'>> {
  readonly targetBits?: number;
  readonly targetSize?: number;
  readonly maxDrop?: number;
  readonly weightBits?: WidthFlags;
  readonly out?: string;
  readonly output?: readonly string[];
  readonly images?: string;
  readonly numImages?: number;
  readonly labels?: string;
  readonly stats?: readonly string[];
  readonly saveStats?: string;
  readonly resume?: boolean;
  readonly shard?: ShardFlag;
  readonly report?: string;
  readonly threads?: number;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

export function addQuantizeCommand(program: Command): void {
  const command = program
    .command('quantize')
    .description('turn a float ONNX Vision Transformer into an integer-only .ivit model')
    .argument('<model.onnx>', 'the float model; external data is found beside it')
    .option('-o, --out <file>', 'the file to write: .ivit, or .safetensors for other readers (default: MODEL.ivit)')
    .option('--output <name>', 'an output of the model to take; may be repeated (default: all)', collectNames)
    .option('--images <dir>', 'calibration images: a folder, or a text list (default: synthetic images)')
    .option(
      '--num-images <n>',
      'how many of them to use (default: up to 256; 64 with --effort fast, 512 with best)',
      atLeastTwo,
    )
    .addOption(
      choice('--kernels <set>', 'integer kernels for softmax and GELU', KERNEL_SETS).default(DEFAULT_OPTIONS.kernels),
    )
    .addOption(
      choice('--scales <mode>', 'activation scales: calibrated, or taken from each row', SCALE_MODES).default(
        DEFAULT_OPTIONS.scales,
      ),
    )
    .addOption(choice('--method <name>', 'how calibration chooses ranges', METHODS).default(DEFAULT_OPTIONS.method))
    .addOption(choice('--effort <level>', 'seconds against accuracy', EFFORTS).default(DEFAULT_OPTIONS.effort));
  addBitsOptions(command)
    .option('--labels <file>', 'class names: one a line, or JSON (default: id2label of config.json beside the model)')
    .option('--report <file>', 'write what became of each layer and image: a page (.html), or JSON')
    .option('--verbose', 'tell what was recognized in the model, and the bits of each layer and why')
    .option('--json', 'print the summary as JSON');
  addThreadsOption(addRecipeOptions(addKeepingOptions(command))).action(run);
  addExamples(command, {
    'quantize model.onnx --images photos/': 'calibrate on photographs; writes model.ivit',
    'quantize model.onnx --images photos/ --effort fast --report report.html':
      'in seconds, with a page on what became of each layer',
    "quantize model.onnx --weight-bits '6,blocks.*.mlp.*=4' -o small.ivit": 'a smaller file',
    'quantize model.onnx --config ivit.json': 'with the options of a file',
  });
}

/** How many bits weights and inputs get. */
function addBitsOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--weight-bits <n>',
        'bits of each weight, 2 to 8; or of the layers that patterns match, such as 6,blocks.*.mlp.*=4,head=8',
      )
        .default({ weightBits: DEFAULT_OPTIONS.weightBits, layerWeightBits: [] }, String(DEFAULT_OPTIONS.weightBits))
        .argParser((text) => parseWeightBits(text)),
    )
    .option(
      '--target-bits <n>',
      'bits of a weight on average, such as 4.5: each layer gets as many as it needs',
      averageBits,
    )
    .option('--target-size <size>', 'the same by what the file may take, such as 4MB', fileSize)
    .option(
      '--max-drop <points>',
      'the same by the share of held-out images, in per cent, that may be decided otherwise than by the float model; ' +
        'searches the fewest bits',
      perCent,
    )
    .option(
      '--layer-bits <name=bits>',
      'input bits (8 or 16) of the layers a pattern matches; may be repeated',
      collectLayerBits,
    );
}

/** Options on what a run keeps for others, or for the same one after a kill. */
function addKeepingOptions(command: Command): Command {
  return command
    .option(
      '--stats <files...>',
      'choose ranges on statistics saved before, together with the images where there are any',
    )
    .option(
      '--save-stats <file>',
      'write the calibration statistics, to be merged and used again with --stats; and FILE.runs beside it, with ' +
        'which other settings on the same images take less time',
    )
    .option(
      '--shard <i/n>',
      'only save statistics of the i-th of n parts of the images, or auto (see ivit eval); needs --save-stats',
      parseShard,
    )
    .option(
      '--resume',
      'keep what each stage gives beside the output until all is done, and go on where a killed run ended',
    );
}

async function run(model: string, flags: Flags): Promise<void> {
  const { json, verbose } = flags;
  const request = requestOf(flags);
  if (flags.shard !== undefined) {
    await observeShard(model, flags, flags.shard);
    return;
  }
  checkQuantizeRequest(model, request);
  await compileKernels(undefined);
  noticeSlowRuntime();
  const progress = new Progress();
  progress.plan(quantizeSteps(flags.effort ?? DEFAULT_OPTIONS.effort, flags.report !== undefined));
  beginReading(progress, [model]);
  try {
    const summary = await quantize(model, {
      ...request,
      onProgress: (stage, done, total) => progress.update(stageName(stage), done, total),
      onNotice: progress.notice,
    });
    progress.stop();
    warnOfAgreement(summary);
    if (json) printJson(toJson(summary));
    else printSummary(model, summary, verbose === true);
  } finally {
    progress.stop();
  }
}

/** Statistics of a part of the images, and no model. */
async function observeShard(model: string, flags: Flags, shard: ShardFlag): Promise<void> {
  const { images, saveStats, stats, out, report, resume, json } = flags;
  if (images === undefined || saveStats === undefined)
    throw new UsageError('--shard saves statistics of a part of the images: give --images and --save-stats');
  if (out !== undefined || report !== undefined || stats !== undefined || resume === true)
    throw new UsageError(
      '--shard only saves statistics: -o, --report, --stats and --resume are for the run that merges them',
    );
  const { numImages, preprocess, outputs, threads } = requestOf(flags);
  const progress = new Progress();
  beginReading(progress, [model]);
  try {
    const summary = await observe(model, {
      ...{ images, saveStats, numImages, preprocess, outputs, threads },
      shard: shard === 'auto' ? shardFrom(process.env) : shard,
      onProgress: (stage, done, total) => progress.update(stageName(stage), done, total),
      onNotice: progress.notice,
    });
    progress.stop();
    const { shard: part, skipped } = summary;
    for (const { path, reason } of skipped)
      warn(reason.includes(path) ? `skipped: ${reason}` : `skipped ${path}: ${reason}`);
    if (json) printJson({ ...summary, warnings: warningsTold() });
    else
      print(
        `Saved statistics of ${summary.images} images, shard ${part.index}/${part.count}, to ${oneLine(saveStats)}`,
      );
  } finally {
    progress.stop();
  }
}

function requestOf(flags: Flags): QuantizeRequest {
  const { out, output, images, numImages, stats, saveStats, resume, report, labels, threads } = flags;
  const { kernels, scales, method, effort, weightBits, layerBits } = flags;
  const target = targetOf(flags);
  return {
    ...outputsAsked(out, output),
    ...{ images, numImages, stats, saveStats, resume, report, labels, threads },
    ...{ kernels, scales, method, effort, ...weightBits, layerBits, target },
    preprocess: parseRecipeFlags(flags),
  };
}

/** @throws UsageError for more than one */
function targetOf({ targetBits, targetSize, maxDrop }: Flags): Target | undefined {
  const given = [
    targetBits === undefined ? [] : { bits: targetBits },
    targetSize === undefined ? [] : { bytes: targetSize },
    maxDrop === undefined ? [] : { drop: maxDrop },
  ].flat();
  if (given.length > 1)
    throw new UsageError('--target-bits, --target-size and --max-drop are three ways to one thing: give one of them');
  return given[0];
}

/** What `-o` and `--output` ask for: a file that is given as `--output` is taken for one, as it once was. */
function outputsAsked(out: string | undefined, given: readonly string[] = []): { output?: string; outputs: string[] } {
  const isFile = (name: string): boolean => out === undefined && /\.(ivit|safetensors)$/i.test(name);
  return { output: out ?? given.find(isFile), outputs: given.filter((name) => !isFile(name)) };
}

function toJson({ layers: _, attentions: _attentions, ...summary }: QuantizeSummary): object {
  return { ...summary, warnings: warningsTold() };
}

function printSummary(model: string, summary: QuantizeSummary, verbose: boolean): void {
  const { output, images, skipped } = summary;
  // What has more bits because it was found sensitive.
  const inputs = summary.layers.filter(({ inputBits, input }) => inputBits > 8 && input.sensitivity !== null);
  const weights = summary.layers.filter(
    ({ weightBits, weightSensitivity }) => weightBits > 8 && weightSensitivity !== null,
  );
  const softmax = summary.attentions.filter(({ softmaxBits, sensitivity }) => softmaxBits > 8 && sensitivity !== null);
  const names = (label: string, list: readonly { readonly name: string }[]) =>
    list.length > 0 ? [[label, someOf(list.map(({ name }) => name))] as const] : [];
  const skips = skipped.length > 0 ? `, ${skipped.length} skipped` : '';
  print(
    `Quantized ${oneLine(model)} to ${oneLine(output)}`,
    '',
    pairs([
      ['parameters', large(summary.parameters)],
      ['size', `${bytes(summary.floatBytes)} float, ${bytes(summary.bytes)} integer`],
      ['images', `${images}${summary.synthetic ? ' synthetic' : ''}${skips}`],
      ...agreementRows(summary),
      ...names('16-bit inputs', inputs),
      ...names('12-bit weights', weights),
      ...names('12-bit softmax', softmax),
      ['time', seconds(summary.seconds)],
    ]),
  );
  if (verbose) print('', recognizedText(summary.recognized), '', decisionTable(summary.layers));
  printCommand('Next', commandLine('infer', 'photo.jpg', '-m', output));
}

function agreementRows({ agreement, classes, outputs }: QuantizeSummary): (readonly [string, string])[] {
  const { images, top1Agreement, kl, sqnrDb } = agreement;
  const held = [['compared', `on ${images} held-out images`]] as const;
  if (classes === 0) return [...held, ...similarityRows(outputs)];
  return [
    ['agreement', `${percent(top1Agreement)} of ${images} held-out images decided as the float model does`],
    ['', `KL ${significant(kl)}, SQNR ${decibels(sqnrDb)} dB`],
    ...(outputs.length === 1 ? [] : similarityRows(outputs)),
  ];
}

function perCent(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value <= 100) return value;
  throw new InvalidArgumentError('It must be a number of 0 to 100, in per cent, such as 0.5.');
}

function averageBits(text: string): number {
  const bits = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && bits >= 2 && bits <= 8) return bits;
  throw new InvalidArgumentError('It must be a number of 2 to 8, such as 4.5.');
}

const collectLayerBits = collecting((text): LayerBits => {
  const match = /^(.+)=(8|16)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('It must be a name or pattern, =, and 8 or 16.');
  return { pattern: match[1], bits: match[2] === '8' ? 8 : 16 };
});

type WidthFlags = Pick<QuantizeOptions, 'weightBits' | 'layerWeightBits'>;

function parseWeightBits(text: string): WidthFlags {
  let weightBits: WeightBits | undefined;
  const layerWeightBits: PatternBits<WeightBits>[] = [];
  for (const part of text.split(',')) {
    const match = /^(?:(.+)=)?([2-8])$/.exec(part);
    if (match === null)
      throw new InvalidArgumentError('It must be 2 to 8, or a list of name or pattern, =, and 2 to 8.');
    const bits = Number(match[2]) as WeightBits;
    if (match[1] === undefined && weightBits !== undefined)
      throw new InvalidArgumentError(
        'It has two numbers without a name: give one for all layers, and NAME=N for others.',
      );
    if (match[1] === undefined) weightBits = bits;
    else layerWeightBits.push({ pattern: match[1], bits });
  }
  return { weightBits: weightBits ?? DEFAULT_OPTIONS.weightBits, layerWeightBits };
}
