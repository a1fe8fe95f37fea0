import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { verify, type Verification } from '../../src/api/verify.js';
import { encodeModel } from '../../src/program/model.js';
import type { ModelOutput } from '../../src/metrics/output.js';
import type { Program } from '../../src/program/types.js';
import { sha256 } from '../attacks/rehash.js';
import { tinyModel } from '../program/tiny.js';

/** What `ivit verify` says of a program, written to a file and read again. */
export async function verified(program: Program, outputs: readonly ModelOutput[]): Promise<Verification> {
  const folder = mkdtempSync(path.join(tmpdir(), 'ivit-verified-'));
  try {
    const { height, width, channels } = program.input;
    const model = tinyModel(program);
    const normalization = {
      ...model.provenance.normalization,
      mean: new Array<string>(channels).fill('0.5'),
      std: new Array<string>(channels).fill('0.5'),
    };
    const provenance = { ...model.provenance, normalization };
    const file = path.join(folder, 'model.ivit');
    const preprocess = { ...model.preprocess, size: { height, width } };
    writeFileSync(file, encodeModel({ ...model, outputs, labels: null, preprocess, provenance }, sha256));
    return await verify(file, { noise: 1 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Names of the checks that failed. */
export function failuresOf({ checks }: Verification): string[] {
  return checks.flatMap(({ name, passed, detail }) => (passed ? [] : [`${name}: ${detail}`]));
}

export function summaryOf({ ops, engines }: Verification): string {
  const least = Math.min(...ops.flatMap(({ spare }) => spare ?? []));
  return `${least}, ${engines.length}`;
}
