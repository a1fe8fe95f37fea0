import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { defineConfig } from 'rolldown';

/**
 * Three steps over what `tsc` wrote to dist/, each in place, so that paths from `import.meta.url` hold:
 *
 * 1. The library's modules that need onnx-proto and protobufjs get them from dist/vendor: installed as packages they
 *    bring protobufjs twice, 27 MB for the 0.4 MB that are used.
 * 2. The thread of onnxruntime-web, with the 14 MB of ONNX Runtime that it needs of 143 MB, goes to dist/onnxruntime.
 * 3. The command line's many small modules, which take longer to find and link than to run, go into a few files.
 */

/** Packages that are not installed with ivit. */
const VENDORED = /^(onnx-proto|protobufjs)(\/|$)/;
/** Packages that every start of `ivit` reads and uses little of: bundled, they take less than half the time. */
const BUNDLED = /^(commander|valibot|onnx-proto|protobufjs)(\/|$)/;
const ONNXRUNTIME = 'node_modules/onnxruntime-web/dist';

const isPackage = (id) => /^[^./]/.test(id) && !path.isAbsolute(id);
const isVendored = (id, importer) =>
  importer === undefined || VENDORED.test(id) || (importer.includes('node_modules') && !isBuiltin(id));

/** dist/api/model.js → api/model, of each module that imports a vendored package. */
function usersOfVendored() {
  const modules = readdirSync('dist', { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.js') && !/^(cli|vendor|onnxruntime)\//.test(name));
  const imports = (name) =>
    [...readFileSync(path.join('dist', name), 'utf8').matchAll(/\bfrom '([^']+)'/g)].some(([, id]) =>
      VENDORED.test(id),
    );
  return Object.fromEntries(modules.filter(imports).map((name) => [name.slice(0, -3), `dist/${name}`]));
}

/** The licence in a folder, if there is one. */
function licenceFiles(folder) {
  const name = existsSync(folder) && readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  return name ? [path.join(folder, name)] : [];
}

/** Writes the licences of the packages whose code is in a bundle beside it. */
function licences(fileName) {
  return {
    name: 'licences',
    generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []));
      const folders = new Set(modules.flatMap((id) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id) ?? []));
      const texts = [...folders].sort().map((folder) => {
        const { name, version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
        const files = ['', 'codec'].flatMap((below) => licenceFiles(path.join(folder, below)));
        return [`${name} ${version}, licence ${license}\n`, ...files.map((file) => readFileSync(file, 'utf8'))].join(
          '\n',
        );
      });
      this.emitFile({ type: 'asset', fileName, source: texts.join(`\n${'-'.repeat(80)}\n\n`) });
    },
  };
}

const onnxruntimeFiles = {
  name: 'onnxruntime-files',
  generateBundle() {
    for (const fileName of ['ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'])
      this.emitFile({ type: 'asset', fileName, source: readFileSync(path.join(ONNXRUNTIME, fileName)) });
  },
};

/** The compiled image codecs of `ivit/web/decode`. */
const codecFiles = {
  name: 'codec-files',
  generateBundle() {
    for (const file of ['jpeg/codec/dec/mozjpeg_dec', 'png/codec/pkg/squoosh_png_bg', 'webp/codec/dec/webp_dec']) {
      const source = readFileSync(path.join('node_modules/@jsquash', `${file}.wasm`));
      this.emitFile({ type: 'asset', fileName: `${path.basename(file)}.wasm`, source });
    }
  },
};

const library = usersOfVendored();

export default defineConfig([
  // Nothing is left to do where this has run since `tsc`.
  ...(Object.keys(library).length === 0
    ? []
    : [
        {
          input: library,
          // Without `require`, which CommonJS bundles of the library cannot make: protobufjs does without.
          platform: 'neutral',
          resolve: { mainFields: ['main'] },
          external: (id, importer, isResolved) => !isResolved && !isVendored(id, importer),
          plugins: [licences('vendor/LICENSES.txt')],
          output: { dir: 'dist', chunkFileNames: 'vendor/[name].js' },
        },
      ]),
  {
    input: { 'web-worker': 'dist/calibrate/web-worker.js' },
    platform: 'node',
    plugins: [licences('LICENSES.txt'), onnxruntimeFiles],
    output: { dir: 'dist/onnxruntime', entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' },
  },
  {
    // Each image codec is a file of its own, which is loaded when an image needs it.
    input: { decode: 'dist/web/decode.js' },
    platform: 'browser',
    plugins: [licences('LICENSES-codecs.txt'), codecFiles],
    output: { dir: 'dist/web', chunkFileNames: '[name].js' },
  },
  ...Object.entries({ page: 'main', 'page-decoder': 'decoder-worker' }).map(([name, source]) => ({
    // The page of `ivit serve`, from its sources, beside the entries that it uses.
    input: { [name]: `src/page/${source}.ts` },
    platform: 'browser',
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
    external: /\/web\/(index|decode)\.js$/,
    output: { dir: 'dist/web', codeSplitting: false, paths: (id) => `./${path.basename(id)}` },
  })),
  ...['index', 'worker'].map((name) => ({
    // A page loads few files, and a worker one. Bundlers look through the page's for addresses of files.
    input: { [name]: `dist/web/${name}.js` },
    platform: 'browser',
    external: /^\.\/worker\.js$/,
    plugins: [licences('LICENSES.txt')],
    output: { dir: 'dist/web', minify: name === 'worker', codeSplitting: false },
  })),
  {
    input: './dist/cli/main.js',
    platform: 'node',
    external: (id, _importer, isResolved) => !isResolved && isPackage(id) && !BUNDLED.test(id),
    checks: { ineffectiveDynamicImport: false },
    plugins: [licences('LICENSES.txt')],
    output: { dir: 'dist/cli', chunkFileNames: '[name].js' },
  },
]);
