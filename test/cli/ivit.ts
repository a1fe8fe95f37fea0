/** Runs the real executable, and makes the small files that its tests need. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll } from 'vitest';
import { graphToOnnx } from '../../src/importer/index.js';
import type { Graph } from '../../src/graph/types.js';
import { Random } from '../../src/images/random.js';
import { syntheticImage } from '../../src/images/synthetic/index.js';
import { saveModel } from '../../src/program/file.js';
import { tinyModel } from '../program/tiny.js';

export const REPOSITORY = path.resolve(import.meta.dirname, '../..');
const EXECUTABLE = path.join(REPOSITORY, 'bin/ivit.js');

export interface Outcome {
  /** Exit code; null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  /** See `messagesOf`. */
  readonly stderr: string;
  /** As it was printed: long messages go on in indented lines. */
  readonly rawStderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: Uint8Array;
  /** Called with everything printed on standard error so far, to act at a moment of the run. */
  readonly onStdout?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
  readonly onStderr?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
}

/** Runs `ivit` with the given arguments. */
export function ivit(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  if (!existsSync(path.join(REPOSITORY, 'dist/cli/main.js'))) throw new Error('dist/ is not there: npm run build');
  const { IVIT_MODEL: _, FORCE_COLOR: _forced, NO_COLOR: _none, ...environment } = process.env;
  const child = spawn(process.execPath, [EXECUTABLE, ...args], {
    cwd: options.cwd,
    env: { ...environment, ...options.env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    options.onStdout?.(stdout, (signal) => child.kill(signal));
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    options.onStderr?.(stderr, (signal) => child.kill(signal));
  });
  // A command that fails early does not wait for its input.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr: messagesOf(stderr), rawStderr: stderr }));
  });
}

/** Each message in one line; without those on progress, which come or do not as time has it. */
export const messagesOf = (stderr: string): string =>
  stderr.replace(/\n {2}(?=\S)/g, ' ').replace(/^progress: .*\n/gm, '');

/** A folder for one test file, removed when its tests are done. */
export function temporaryFolder(): {
  readonly path: (...parts: string[]) => string;
  readonly files: (folder?: string) => Promise<string[]>;
} {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ivit-test-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return {
    path: (...parts) => path.join(folder, ...parts),
    files: async (inside = '.') => (await readdir(path.join(folder, inside))).sort(),
  };
}

/** Saves the hand-made integer model of test/program/tiny.ts: 8×8 pixels, classes cat, dog and newt. */
export async function saveTinyModel(file: string): Promise<void> {
  await saveModel(file, tinyModel());
}

/** Writes a photograph-like PNG. */
export async function savePhoto(file: string, seed: number, size = 24): Promise<void> {
  const { data, width, height } = syntheticImage(size, size, seed);
  await mkdir(path.dirname(file), { recursive: true });
  await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(file);
}

/**
 * A float ViT with random weights as an ONNX file: 16×16 pixels, 4 tokens and a class token of 16 channels, 3 classes.
 */
export async function saveTinyOnnx(file: string, seed = 1): Promise<void> {
  await writeFile(file, graphToOnnx(tinyGraph(seed)));
}

export function tinyGraph(seed: number): Graph {
  const random = new Random(seed);
  const noise = (length: number, size: number) => Float32Array.from({ length }, () => size * random.normal());
  const linear = (id: string, x: string, rows: number, inFeatures: number, cols: number) =>
    ({
      op: 'linear',
      id,
      name: id,
      rows,
      cols,
      x,
      inFeatures,
      weight: noise(cols * inFeatures, inFeatures ** -0.5),
      bias: noise(cols, 0.1),
    }) as const;
  const norm = (id: string, x: string, rows: number) =>
    ({
      op: 'layerNorm',
      id,
      name: id,
      rows,
      cols: 16,
      x,
      center: true,
      gamma: noise(16, 0.1).map((v) => v + 1),
      beta: noise(16, 0.1),
      epsilon: 1e-6,
    }) as const;
  const view = (offset: number) => ({ source: 'qkv', stride: 48, rows: null, offset, headStride: 8 });
  return {
    input: { name: 'pixels', channels: 3, height: 16, width: 16, fixed: { batch: true, height: true, width: true } },
    nodes: [
      {
        op: 'patchEmbed',
        id: 'patches',
        name: 'patches',
        rows: 4,
        cols: 16,
        weight: noise(16 * 192, 0.1),
        bias: noise(16, 0.1),
        kernel: [8, 8],
        stride: [8, 8],
        pads: [0, 0, 0, 0],
        dilation: [1, 1],
        outSize: [2, 2],
      },
      { op: 'constant', id: 'cls', name: 'cls', rows: 1, cols: 16, value: noise(16, 1) },
      {
        op: 'gather',
        id: 'tokens',
        name: 'tokens',
        rows: 5,
        cols: 16,
        sources: ['cls', 'patches'],
        piece: 16,
        index: Int32Array.of(0, 1, 2, 3, 4),
      },
      { op: 'addConst', id: 'pos', name: 'pos', rows: 5, cols: 16, x: 'tokens', value: noise(80, 0.5) },
      norm('norm1', 'pos', 5),
      linear('qkv', 'norm1', 5, 16, 48),
      {
        op: 'attention',
        id: 'attn',
        name: 'attn',
        rows: 5,
        cols: 16,
        q: view(0),
        k: view(16),
        v: view(32),
        batch: 1,
        heads: 2,
        queries: 5,
        keys: 5,
        dim: 8,
        valueDim: 8,
        scale: Float32Array.of(0.35, 0.35),
        bias: null,
        biasBatch: 1,
        biasHeads: 1,
      },
      linear('proj', 'attn', 5, 16, 16),
      { op: 'add', id: 'add1', name: 'add1', rows: 5, cols: 16, a: 'pos', b: 'proj' },
      norm('norm2', 'add1', 5),
      linear('fc1', 'norm2', 5, 16, 32),
      { op: 'activation', id: 'gelu', name: 'gelu', rows: 5, cols: 32, x: 'fc1', kind: 'gelu' },
      linear('fc2', 'gelu', 5, 32, 16),
      { op: 'add', id: 'add2', name: 'add2', rows: 5, cols: 16, a: 'add1', b: 'fc2' },
      norm('norm', 'add2', 5),
      {
        op: 'gather',
        id: 'pool',
        name: 'pool',
        rows: 1,
        cols: 16,
        sources: ['norm'],
        piece: 16,
        index: Int32Array.of(0),
      },
      linear('head', 'pool', 1, 16, 3),
    ],
    output: 'head',
    outputs: [{ name: 'head', shape: [3], start: 0, tail: [], isClasses: true }],
    family: 'vit',
    folded: [],
  };
}
