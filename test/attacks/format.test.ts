import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { decodeModel, encodeModel } from '../../src/program/model.js';
import { validateProgram } from '../../src/program/validate.js';
import type { TensorData } from '../../src/program/container.js';
import type { Program } from '../../src/program/types.js';
import { tinyModel, tinyPaperProgram, tinyProgram } from '../program/tiny.js';
import { sha256, withHeader, withTensors } from './rehash.js';

const bytesOf = (program: Program) => encodeModel(tinyModel(program), sha256);

/** Why a file is refused; fails where it is accepted, or another error comes. */
function refusal(bytes: Uint8Array): string {
  try {
    decodeModel(bytes, sha256);
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error('the file was accepted');
}

/** The most negative integer of an array's type. */
function mostNegative(data: TensorData): number | bigint {
  if (data instanceof BigInt64Array) return -(1n << 63n);
  return -(2 ** (8 * data.BYTES_PER_ELEMENT - 1));
}

/** The names of a file's tensors; those of fewer than 8 bits have no most negative integer of a type. */
function signedTensors(program: Program): string[] {
  const names: string[] = [];
  withTensors(bytesOf(program), (tensors) => {
    for (const [name, data] of tensors) if (!(data instanceof Uint8Array)) names.push(name);
  });
  return names;
}

describe('the most negative integer of a type is excluded: its magnitude has no place', () => {
  const programs = { shift: tinyProgram(), paper: tinyPaperProgram() };
  const cases = Object.entries(programs).flatMap(([kind, program]) =>
    signedTensors(program).map((name) => ({ kind, name, program })),
  );
  test.each(cases)('$kind: $name', ({ name, program }) => {
    const changed = (at: (length: number) => number) =>
      withTensors(bytesOf(program), (tensors) => {
        const data = tensors.get(name)!;
        (data as Int32Array)[at(data.length)] = mostNegative(data) as number;
      });
    const expected = /most negative|-128, not within|outside its source/;
    expect(refusal(changed(() => 0))).toMatch(expected);
    expect(refusal(changed((length) => length - 1))).toMatch(expected);
  });
});

describe('a key that is given twice', () => {
  const valid = bytesOf(tinyProgram());
  const twice = (key: string) => (json: string) => json.replace(`"${key}":`, `"${key}":"", "${key}":`);
  test.each<[string, (json: string) => string]>([
    ['the program', twice('program')],
    ['the hash', (json) => json.replace('"hash":', '"ha\\u0073h":"", "hash":')],
    ['the metadata', (json) => json.replace('{"__metadata__"', '{"__metadata__":{}, "__metadata__"')],
    ['a tensor', (json) => json.replace('"embed.weight":', '"embed.weight":{}, "embed.weight":')],
    ['a part of a tensor', (json) => json.replace('"shape":[8,48]', '"shape":[8,48],"sh\\u0061pe":[8,48]')],
    ['an op of the program', (json) => json.replace('\\"shift\\":20', '\\"shift\\":20,\\"shift\\":20')],
    ['the pre-processing', (json) => json.replace('\\"size\\":', '\\"size\\":1,\\"size\\":')],
    ['the provenance', (json) => json.replace('\\"tool\\":', '\\"tool\\":1,\\"tool\\":')],
  ])('%s', (_, change) => {
    expect(refusal(withHeader(valid, change))).toMatch(/key .* twice/);
  });

  test('equal names in different objects are none', () => {
    expect(() =>
      decodeModel(
        withHeader(valid, (json) => json),
        sha256,
      ),
    ).not.toThrow();
  });

  test('JSON is nested no deeper than 64', () => {
    const deep = (json: string) => json.replace('{', `{"x":${'['.repeat(100_000)}${']'.repeat(100_000)},`);
    expect(refusal(withHeader(valid, deep))).toMatch(/nested more than 64 deep/);
  });
});

test('an image of more elements than a value may have is refused, whatever memory is allowed', () => {
  const program = { ...tinyProgram(), input: { height: 8192, width: 8192, channels: 5 } };
  expect(() => validateProgram(program)).toThrow(/input of 335544320 elements is larger than 268435456/);
});
