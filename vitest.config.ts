import { defineConfig } from 'vitest/config';

/**
 * The tests that need what `npm run build` makes: the compiled kernels, or dist/ with the command line. Everything else
 * runs on the TypeScript alone.
 */
const NEEDS_BUILD = [
  'test/{api,attacks,bench,fuzz,cli,engine,native,package,web}/**/*.test.ts',
  'test/calibrate/{numerics,parts,statistics}.test.ts',
  'test/images/datasets/{containers,parquet-process}.test.ts',
  'test/quantize/{build,decide,fit}/**/*.test.ts',
  'test/quantize/{output-rows,zoo,zoo2}.test.ts',
  'test/docs/{commands,library}.test.ts',
  'test/export/c/zoo.test.ts',
];

export default defineConfig({
  test: {
    reporters: ['default', './tools/summary-reporter.mjs'],
    // Tests that compile C take half a minute, and ten times as long on a machine with other work.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // By default one core is left to Vitest itself, which needs next to nothing of it.
    maxWorkers: '100%',
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: NEEDS_BUILD, isolate: false },
      },
      {
        extends: true,
        test: { name: 'built', include: NEEDS_BUILD, globalSetup: ['test/build-kernels.ts'] },
      },
    ],
  },
});
