import { defineConfig } from 'rolldown';

/** Packages that every start of `ivit` reads and uses little of: bundled, they take less than half the time. */
const BUNDLED = ['commander', 'valibot'];

/**
 * Puts the many small modules of the command line, which take longer to find and link than to run, into a few files: over
 * what `tsc` wrote to dist/cli, which works without this step as well, only starts later. As deep as before, so that paths
 * from `import.meta.url` hold. The library stays as `tsc` writes it.
 */
export default defineConfig({
  input: './dist/cli/main.js',
  platform: 'node',
  external: (id, _importer, isResolved) => !isResolved && /^[^./]/.test(id) && !BUNDLED.includes(id),
  checks: { ineffectiveDynamicImport: false },
  output: { dir: 'dist/cli', chunkFileNames: '[name].js' },
});
