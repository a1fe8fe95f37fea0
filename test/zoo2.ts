import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { packageFile } from '../src/package-root.js';

const FOLDER = packageFile('fixtures', 'zoo2');

interface Info {
  readonly family: string;
  readonly exporter: string;
  readonly opset: number;
  readonly input: {
    readonly shape: readonly number[];
    readonly dtype: 'float32' | 'uint8';
    readonly mean: readonly number[];
    readonly std: readonly number[];
  };
  readonly outputs: readonly { readonly name: string; readonly shape: readonly number[]; readonly dtype: string }[];
  readonly note: string;
  readonly cases: readonly { readonly pixels: string; readonly y: readonly string[] }[];
}

export interface ModernCase {
  /** [height, width, channels] of the first image of the batch. */
  readonly pixels: Uint8Array;
  /** What the model gives for it, by the output's name, the batch dropped. */
  readonly expected: ReadonlyMap<string, readonly number[]>;
}

export interface ModernModel extends Omit<Info, 'cases'> {
  readonly name: string;
  /** The unpacked ONNX file; removed when the process ends. */
  readonly path: string;
  readonly cases: readonly ModernCase[];
}

const folders: string[] = [];

process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Names of the models of fixtures/zoo2. */
export const modernNames: readonly string[] = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.onnx.gz'))
  .map((file) => path.basename(file, '.onnx.gz'));

export function modernModel(name: string): ModernModel {
  const read = (ending: string): Buffer => gunzipSync(readFileSync(path.join(FOLDER, `${name}.${ending}.gz`)));
  const { cases, ...info } = JSON.parse(read('json').toString()) as Info;
  const folder = mkdtempSync(path.join(tmpdir(), 'ivit-zoo2-'));
  folders.push(folder);
  const file = path.join(folder, `${name}.onnx`);
  writeFileSync(file, read('onnx'));
  return { ...info, name, path: file, cases: cases.map((one) => caseOf(info, one)) };
}

function caseOf({ input, outputs }: Omit<Info, 'cases'>, { pixels, y }: Info['cases'][number]): ModernCase {
  const batch = input.shape[0];
  const all = bytesOf(pixels);
  const expected = outputs.map(({ name, dtype }, i) => {
    const values = numbersOf(y[i], dtype);
    return [name, values.slice(0, values.length / batch)] as const;
  });
  return { pixels: all.slice(0, all.length / batch), expected: new Map(expected) };
}

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));

function numbersOf(base64: string, dtype: string): number[] {
  const { buffer } = bytesOf(base64);
  return dtype === 'int64' ? Array.from(new BigInt64Array(buffer), Number) : Array.from(new Float32Array(buffer));
}

/** The float graph's input, [channels, height, width], from u8 pixels: normalised as the model's record says. */
export function networkInput(
  { input }: Pick<ModernModel, 'input'>,
  { channels, height, width }: { readonly channels: number; readonly height: number; readonly width: number },
  pixels: Uint8Array,
): Float32Array {
  const size = height * width;
  const isInteger = input.dtype === 'uint8';
  return Float32Array.from({ length: channels * size }, (_, i) => {
    const c = Math.floor(i / size);
    const p = pixels[(i % size) * channels + c] / 255;
    return isInteger ? p : (p - input.mean[c]) / input.std[c];
  });
}
