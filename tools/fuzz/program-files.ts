/** Random programs at their extremes, planned, as files that native/test/programs.c runs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { encodeHeader, encodeLayout, encodeSteps } from '../../src/engine/encode.js';
import { loadNativeKernels } from '../../src/engine/load.js';
import { planWork, workOfProgram } from '../../src/engine/plan/index.js';
import { createReferenceEngine } from '../../src/engine/reference.js';
import { Random } from '../../src/images/random.js';
import type { Program } from '../../src/program/types.js';
import { extremePrograms } from './programs.js';

/** More than any of these programs takes. */
const MOST_BYTES = 2 ** 30;

/** Writes a file for each of `count` programs and each instruction set of this machine. */
export async function writeProgramFiles(folder: string, count: number, seed: number): Promise<void> {
  const kernels = loadNativeKernels();
  mkdirSync(folder, { recursive: true });
  let index = 0;
  for (const program of extremePrograms(count, seed)) {
    const images = imagesOf(program, new Random(seed + index));
    const expected = await createReferenceEngine(program).runAll(images);
    for (const isa of kernels.isas()) {
      const [, rows, cols] = kernels.describe(isa)!;
      const blobs = blobsOf(program, isa, { rows, cols });
      images.forEach((pixels, i) => blobs.push(pixels, expected[i]));
      writeFileSync(path.join(folder, `${index}-${isa}`), joined(blobs));
    }
    index++;
  }
}

function imagesOf({ input }: Program, random: Random): Uint8Array[] {
  const { height, width, channels } = input;
  return [() => 0, () => 255, () => 255 * random.integer(2), () => random.integer(256)].map((pixel) =>
    Uint8Array.from({ length: height * width * channels }, pixel),
  );
}

type Blob = ArrayBufferView | null;

/** All but the images. */
function blobsOf(program: Program, isa: string, tile: { readonly rows: number; readonly cols: number }): Blob[] {
  const work = workOfProgram(program);
  const plan = planWork(work, tile);
  const number = (value: number) => Int32Array.of(value);
  const steps = encodeSteps(plan, work);
  return [
    Buffer.from(`${isa}\0`),
    encodeHeader(plan, MOST_BYTES),
    number(steps.length),
    ...steps.flatMap(({ words, constants }): Blob[] => [words, number(constants.length), ...constants]),
    encodeLayout(plan),
    ...[0, work.output, 4].map(number),
  ];
}

function joined(blobs: readonly Blob[]): Buffer {
  const parts = blobs.flatMap((blob) => {
    const length = Buffer.alloc(4);
    length.writeInt32LE(blob === null ? -1 : blob.byteLength);
    if (blob === null) return [length];
    const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
    return [length, bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)];
  });
  return Buffer.concat(parts);
}
