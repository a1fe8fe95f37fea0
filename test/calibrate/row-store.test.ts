import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RowStore } from '../../src/calibrate/row-store.js';

test.each([
  ['memory', Infinity],
  ['a file', 0],
])('in %s, what was written is read back', (_, limit) => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 9 }), { minLength: 1, maxLength: 5 }),
      fc.nat(9),
      (rows, cut) => {
        const store = new RowStore(new Map(rows.map((row, i) => [`${i}`, row.length])), limit);
        for (const [i, row] of rows.entries()) {
          const at = Math.min(cut, row.length);
          store.write(`${i}`, at, Float32Array.from(row.slice(at)));
          store.write(`${i}`, 0, Float32Array.from(row.slice(0, at)));
        }
        rows.forEach((row, i) => expect(store.read(`${i}`, 0, row.length)).toEqual(Float32Array.from(row)));
        const [first] = rows;
        expect(store.read('0', first.length - 1, first.length)).toEqual(Float32Array.from(first.slice(-1)));
        store.close();
      },
    ),
  );
});

test('no file stays behind', () => {
  const left = (): string[] =>
    readdirSync(tmpdir()).filter((name) => name.startsWith(`ivit-calibration-${process.pid}-`));
  const store = new RowStore(new Map([['a', 4]]), 0);
  store.write('a', 0, Float32Array.of(1, 2, 3, 4));
  store.close();
  expect(left()).toEqual([]);
});
