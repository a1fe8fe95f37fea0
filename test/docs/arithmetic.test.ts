import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import * as kernels from '../../src/kernels/index.js';

const PAGE = path.resolve(import.meta.dirname, '../../docs/arithmetic.md');
const text = readFileSync(PAGE, 'utf8');

/** The page's lines of code, block by block, with the value that follows an arrow. */
const blocks = [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code]) =>
  code
    .trim()
    .split('\n')
    .map((line) => {
      const [source, value] = line.split('// →').map((part) => part.trim());
      return { source, value };
    }),
);

/** Blocks build on each other: a value may use every name that was defined before it. */
const statements: string[] = [];

describe('the numbers in docs/arithmetic.md', () => {
  test('are there', () => {
    expect(blocks.flat().filter(({ value }) => value !== undefined).length).toBeGreaterThan(40);
  });

  for (const { source, value } of blocks.flat()) {
    if (value === undefined) {
      statements.push(source);
      continue;
    }
    const before = statements.join(';\n');
    test(source, () => {
      const names = Object.keys(kernels);
      const evaluate = new Function(...names, `${before};\nreturn (${source});`) as (...values: unknown[]) => unknown;
      const result = evaluate(...Object.values(kernels));
      expect(typeof result === 'bigint' ? Number(result) : result).toEqual(JSON.parse(value));
    });
  }
});
