/**
 * How the time of a quantization grows with images, width and depth. Models of DeiT's build with random weights, each
 * quantized with defaults in a process of its own. Writes docs/performance/quantize-*.svg and prints the tables of
 * docs/performance.md.
 *
 *     npm run bench:quantize -- calibration/
 *     npm run bench:quantize -- calibration/ width large
 *
 * The second form measures the named studies alone: images, depth, width, large.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { quantize } from '../../src/api/quantize.js';
import { graphToOnnx } from '../../src/importer/index.js';
import { drawPlot } from './plot.js';
import { randomVit } from './random-vit.js';
import { DEIT_TINY, type VitShape } from './synthetic-vit.js';

/** npm runs scripts there. */
const repository = process.cwd();
const STAGES = ['import', 'images', 'calibrate', 'sensitivity', 'quantize'] as const;

interface Cost {
  /** Seconds of each stage. */
  readonly stages: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Of all threads. */
  readonly processorSeconds: number;
  readonly peakBytes: number;
}

/** Quantizes in this process. */
async function measure(model: string, images: string, numImages: number): Promise<Cost> {
  const stages: Record<string, number> = {};
  let [current, since] = ['import', performance.now()];
  const enter = (stage: string): void => {
    if (stage === current) return;
    const now = performance.now();
    stages[current] = (stages[current] ?? 0) + (now - since) / 1000;
    [current, since] = [stage, now];
  };
  const output = `${model}.ivit`;
  const preprocess = { preset: 'imagenet' } as const;
  const { seconds } = await quantize(model, { images, numImages, preprocess, output, onProgress: enter });
  enter('end');
  const { user, system } = process.cpuUsage();
  return {
    stages,
    seconds,
    processorSeconds: (user + system) / 1e6,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}

/** The same in a process of its own. */
function costOf(shape: VitShape, images: string, numImages: number): Cost {
  const folder = mkdtempSync(path.join(tmpdir(), 'ivit-quantize-time-'));
  try {
    const model = path.join(folder, 'model.onnx');
    writeFileSync(model, graphToOnnx(randomVit(shape)));
    const run = ['--one', model, images, String(numImages)];
    const { status, stdout, stderr } = spawnSync(process.execPath, [process.argv[1], ...run], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as Cost;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Study {
  readonly title: string;
  readonly name: string;
  readonly unit: string;
  readonly points: readonly (readonly [x: number, shape: VitShape, numImages: number])[];
}

function study({ title, name, unit, points }: Study, images: string): void {
  const costs = points.map(([x, shape, numImages]) => [x, costOf(shape, images, numImages)] as const);
  const columns = [unit, ...STAGES, 'all', 'processor', 'memory'];
  const rows = costs.map(([x, { stages, seconds, processorSeconds, peakBytes }]) => [
    String(x),
    ...STAGES.map((stage) => `${(stages[stage] ?? 0).toFixed(1)} s`),
    `${seconds.toFixed(1)} s`,
    `${processorSeconds.toFixed(0)} s`,
    `${(peakBytes / 1e9).toFixed(1)} GB`,
  ]);
  const lines = [columns, columns.map(() => '---:'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  process.stdout.write(`### ${title}\n\n${lines.join('\n')}\n\n`);
  if (costs.length === 1) return;
  const curve = (label: string, of: (cost: Cost) => number) => ({
    name: label,
    points: costs.map(([x, cost]) => [x, of(cost)] as const),
  });
  const series = [
    curve('all', ({ seconds }) => seconds),
    ...(['quantize', 'calibrate', 'sensitivity'] as const).map((stage) => curve(stage, ({ stages }) => stages[stage])),
  ];
  const plot = { title, x: unit, y: 'seconds', series };
  writeFileSync(path.join(repository, `docs/performance/quantize-${name}.svg`), drawPlot(plot));
}

const ALL_IMAGES = 256;
const withWidth = (width: number): VitShape => ({ ...DEIT_TINY, width, heads: width / 64, hidden: 4 * width });

const STUDIES: readonly Study[] = [
  {
    title: 'Time of a quantization by images',
    name: 'images',
    unit: 'images',
    points: [32, 64, 128, ALL_IMAGES].map((count) => [count, DEIT_TINY, count]),
  },
  {
    title: 'Time of a quantization by depth',
    name: 'depth',
    unit: 'blocks',
    points: [4, 8, 12, 24].map((depth) => [depth, { ...DEIT_TINY, depth }, ALL_IMAGES]),
  },
  {
    title: 'Time of a quantization by width',
    name: 'width',
    unit: 'width',
    points: [192, 384, 768].map((width) => [width, withWidth(width), ALL_IMAGES]),
  },
];
/** ViT-Large takes as long as all studies together, so it is measured only when it is named. */
const LARGE: Study = {
  title: 'Time of a quantization of ViT-Large',
  name: 'large',
  unit: 'width',
  points: [[1024, { ...withWidth(1024), depth: 24 }, ALL_IMAGES]],
};

const [first, ...rest] = process.argv.slice(2);
if (first === '--one') {
  const [model, images, numImages] = rest;
  process.stdout.write(JSON.stringify(await measure(model, images, Number(numImages))));
} else {
  const chosen = rest.length === 0 ? STUDIES : [...STUDIES, LARGE].filter(({ name }) => rest.includes(name));
  for (const one of chosen) study(one, first);
}
