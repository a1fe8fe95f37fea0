/** The stages of long work: how they are called, and which share of the time each takes. */
import { statSync } from 'node:fs';
import type { ComparePlan, CompareStage, QuantizeStage } from '../api/requests.js';
import type { Effort } from '../quantize/index.js';
import type { Progress } from './progress.js';
import { oneLine } from './render.js';
import type { Step } from './time-left.js';

const NAMES: Readonly<Record<CompareStage | QuantizeStage, string>> = {
  import: 'Reading the model',
  recipe: 'Try      ',
  images: 'Images   ',
  calibrate: 'Calibrate',
  sensitivity: 'Measure  ',
  quantize: 'Quantize ',
  report: 'Report   ',
  evaluate: 'Evaluate ',
  functions: 'Functions',
  time: 'Time     ',
};

/** Stages in which all forms are at work, not one. */
const OF_ALL: ReadonlySet<CompareStage> = new Set(['import', 'recipe', 'images', 'evaluate', 'functions', 'time']);

/** @param form the form that is at work, of those that `ivit compare` makes */
export function stageName(stage: CompareStage, form = ''): string {
  return form === '' || OF_ALL.has(stage) ? NAMES[stage] : `${NAMES[stage]} ${form}`;
}

type FittingStage = 'calibrate' | 'sensitivity' | 'quantize' | 'report';

/** Seconds of DeiT-Tiny on 256 images (64 of `fast`, 512 of `best`) and two cores: only their ratios count. */
const SECONDS: Readonly<Record<Effort, Readonly<Record<FittingStage, number>>>> = {
  none: { calibrate: 14, sensitivity: 0, quantize: 8, report: 1 },
  fast: { calibrate: 6, sensitivity: 4, quantize: 3, report: 1 },
  normal: { calibrate: 14, sensitivity: 14, quantize: 32, report: 1 },
  best: { calibrate: 28, sensitivity: 28, quantize: 85, report: 1 },
};

/** What a quantization consists of, from where the model runs. */
export function quantizeSteps(effort: Effort, withReport: boolean): Step[] {
  const stages: FittingStage[] = ['calibrate', 'sensitivity', 'quantize', ...(withReport ? ['report' as const] : [])];
  return stages.map((stage) => ({ stage: stageName(stage), share: SECONDS[effort][stage] }));
}

/** Seconds of a form for an image, and of its functions and timings, in the units of `SECONDS`. */
const FORM_SECONDS = { evaluate: 0.05, functions: 5, time: 2 } as const;

/** What a comparison consists of: the float model is observed once for all forms of an effort. */
export function compareSteps({ forms, images }: ComparePlan): Step[] {
  const seen = new Set<Effort>();
  const fitted = forms.flatMap(({ name, effort }) => {
    const stages: FittingStage[] = seen.has(effort)
      ? ['sensitivity', 'quantize']
      : ['calibrate', 'sensitivity', 'quantize'];
    seen.add(effort);
    return stages.map((stage) => ({ stage: stageName(stage, name), share: SECONDS[effort][stage] }));
  });
  return [
    ...fitted,
    { stage: stageName('evaluate'), share: FORM_SECONDS.evaluate * images * forms.length },
    { stage: stageName('functions'), share: FORM_SECONDS.functions * forms.length },
    { stage: stageName('time'), share: FORM_SECONDS.time * forms.length },
  ];
}

/** The evaluation of one model, the i-th of several, and of those after it, which take about as long. */
export function evaluationSteps(i: number, models: number): Step[] {
  const all = Array.from({ length: models }, (_, k) => `${NAMES.evaluate}${models === 1 ? '' : ` ${k + 1}/${models}`}`);
  return all.slice(i).map((stage) => ({ stage, share: 1 }));
}

/** Reading a model of so many bytes takes longer than people like to wait without a word. */
const LONG_TO_READ = 32e6;

/** Says that models are read, which nothing can count. */
export function beginReading(progress: Progress, files: readonly string[]): void {
  // External data is what is large of some, and lies beside the model.
  const isLong = files
    .flatMap((file) => [file, `${file}.data`, `${file}_data`])
    .some((one) => sizeOf(one) >= LONG_TO_READ);
  progress.begin(`Reading ${files.map(oneLine).join(' and ')}`, isLong);
}

/** Of what cannot be looked at, those who read it tell. */
function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    return 0;
  }
}
