import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import sharp from 'sharp';
import { packageFile } from '../src/package-root.js';

const FOLDER = packageFile('fixtures', 'zoo');
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];

export interface ZooModel {
  readonly name: string;
  /** The unpacked ONNX file. */
  readonly path: string;
  readonly family: string;
  readonly exporter: string;
  readonly opset: number;
  readonly input: { readonly name: string; readonly shape: readonly [1, 3, number, number]; readonly dtype: string };
  readonly note: string;
  /** Expected output for each image. */
  readonly logits: readonly (readonly number[])[];
}

export interface ZooImage {
  /** [height, width, 3], row-major. */
  readonly pixels: Uint8Array;
  /** The network's input, [3, height, width]. */
  readonly normalised: Float32Array;
}

let unpacked: string | null = null;

process.on('exit', () => {
  if (unpacked) rmSync(unpacked, { recursive: true, force: true });
});

/** The folder with all models unpacked; removed when the process ends. */
function folder(): string {
  if (unpacked) return unpacked;
  const target = mkdtempSync(path.join(tmpdir(), 'ivit-zoo-'));
  mkdirSync(path.join(target, 'bad'));
  for (const file of [...list('.'), ...list('bad')])
    if (file.endsWith('.gz'))
      writeFileSync(path.join(target, file.slice(0, -3)), gunzipSync(readFileSync(path.join(FOLDER, file))));
  unpacked = target;
  return target;
}

const list = (sub: string): string[] => readdirSync(path.join(FOLDER, sub)).map((file) => path.join(sub, file));

/** Names of the models, without unpacking anything. */
export const zooNames: readonly string[] = list('.')
  .filter((file) => file.endsWith('.onnx.gz'))
  .map((file) => path.basename(file, '.onnx.gz'));

export function zooModel(name: string): ZooModel {
  const info = JSON.parse(readFileSync(path.join(FOLDER, `${name}.json`), 'utf8')) as Omit<ZooModel, 'name' | 'path'>;
  return { ...info, name, path: path.join(folder(), `${name}.onnx`) };
}

/** A model's three images. */
export async function zooImages(model: ZooModel): Promise<ZooImage[]> {
  const pixels = new Uint8Array(
    await sharp(path.join(FOLDER, `${model.name}.png`))
      .removeAlpha()
      .raw()
      .toBuffer(),
  );
  const [, channels, height, width] = model.input.shape;
  const size = channels * height * width;
  return model.logits.map((_, i) => {
    const own = pixels.slice(i * size, (i + 1) * size);
    return { pixels: own, normalised: normalise(own) };
  });
}

/** [height, width, 3] pixels as the network's input [3, height, width]. */
function normalise(pixels: Uint8Array): Float32Array {
  const size = pixels.length / 3;
  return Float32Array.from({ length: pixels.length }, (_, i) => {
    const c = Math.floor(i / size);
    return (pixels[(i % size) * 3 + c] / 255 - MEAN[c]) / STD[c];
  });
}

/** Files that must be refused, by name. */
export const badNames: readonly string[] = list('bad')
  .filter((file) => file.endsWith('.onnx.gz'))
  .map((file) => path.basename(file, '.onnx.gz'));

export const badPath = (name: string): string => path.join(folder(), 'bad', `${name}.onnx`);
