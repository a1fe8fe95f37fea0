import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/build-kernels.ts'],
    reporters: ['default', './tools/summary-reporter.mjs'],
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
});
