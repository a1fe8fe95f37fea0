import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { nativeHeader } from '../../src/engine/native-header.js';

test('native/generated.h is what the TypeScript says; `npm run generate` writes it anew', () => {
  const file = path.resolve(import.meta.dirname, '../../native/generated.h');
  expect(readFileSync(file, 'utf8')).toBe(nativeHeader());
});
