/** Everything that runs a model: engines of this package, exports, browsers. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { digestOf } from '../../../src/metrics/output-digest.js';
import { createEngine } from '../../../src/engine/engine.js';
import { loadNativeKernels } from '../../../src/engine/load.js';
import type { BackendName } from '../../../src/engine/types.js';
import { cTarget } from '../../../src/export/c/index.js';
import type { StoredModel } from '../../../src/program/model.js';
import { packageFile } from '../../../src/package-root.js';
import { runExported } from '../../../test/export/onnx/onnxruntime.js';
import { hasChromium, launch, openPage, serve } from '../../../test/web/browser.js';
import { Firefox, hasFirefox } from '../../../test/web/firefox.js';
import { fileOf, type Subject } from './subjects.js';
import { MACHINES, SANITIZED, build, missingTools, runIn, type Machine } from './targets.js';

export interface Platform {
  /** As `--only` names it. */
  readonly id: string;
  /** At the head of its column. */
  readonly title: string;
  /** An emulator runs it, or plain TypeScript. */
  readonly isSlow: boolean;
  /** Why it cannot run here; null: it can. */
  missing(): string | null;
  /** The digest of each of a subject's images. */
  digests(subject: Subject): Promise<string[]>;
  /** Ends what it keeps from one subject to the next. */
  close?(): Promise<void>;
}

function engine(backend: BackendName): Platform {
  return {
    ...{ id: backend, title: backend, isSlow: backend === 'reference' },
    missing: () => (backend === 'native' ? reasonOf(loadNativeKernels) : null),
    async digests({ model, images }) {
      const running = await createEngine(model.program, { backend, threads: 1 });
      const digests: string[] = [];
      for (const image of images) digests.push(digestOf(await running.run(image)));
      await running.close();
      return digests;
    },
  };
}

function reasonOf(attempt: () => unknown): string | null {
  try {
    attempt();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Bytes of weights from which on a compiler takes long over their numbers as text. */
const LARGE = 2 ** 20;

const weightBytes = ({ program: { ops } }: StoredModel): number =>
  ops.reduce((sum, op) => sum + (op.op === 'linear' ? op.weight.length : 0), 0);

/** The file that the test of an export reads its images from. */
const PIXELS = 'pixels.bin';

function exportedC(id: string, machine: Machine): Platform {
  return {
    ...{ id, title: `C, ${machine.name}`, isSlow: machine.emulator !== null },
    missing() {
      const missing = missingTools(machine);
      return missing.length === 0 ? null : `there is no ${missing.join(', no ')}`;
    },
    async digests({ model, images }) {
      const folder = mkdtempSync(path.join(tmpdir(), 'ivit-deploy-'));
      try {
        const weights = !machine.isBigEndian && weightBytes(model) > LARGE ? 'bin' : 'c';
        const { files } = await cTarget.write({ model, name: 'model', options: { weights } });
        for (const [name, content] of files) writeFileSync(path.join(folder, name), content);
        writeFileSync(path.join(folder, PIXELS), Buffer.concat(images));
        build(folder, machine, { name: 'model', optimize: '-O2', withPixels: true });
        const text = runIn(folder, machine.run);
        return [...text.matchAll(/^([0-9a-f]{64}) {2}/gm)].map(([, digest]) => digest);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

const onnxRuntime: Platform = {
  ...{ id: 'onnx', title: 'ONNX Runtime', isSlow: false },
  missing: () => null,
  async digests({ model, images }) {
    return (await runExported(model.program, images)).map(digestOf);
  },
};

const PAGE = '<!doctype html><meta charset="utf-8"><title>ivit</title><link rel="icon" href="data:,">';

/** Runs in a page: loads a model, and gives the digests of images. */
const RUN = `
  const [file, images] = args;
  const { loadModel, digestOf } = await import('/ivit/index.js');
  const model = await loadModel(file);
  const digests = [];
  for (const image of images) {
    const pixels = new Uint8Array(await (await fetch(image)).arrayBuffer());
    digests.push(digestOf(await model.run(pixels)));
  }
  model.close();
  return digests;`;

/** A browser that opens pages one after the other, and runs RUN in each. */
interface Browser {
  run(url: string, file: string, images: readonly string[]): Promise<string[]>;
  close(): Promise<void>;
}

async function startChromium(): Promise<Browser> {
  const chromium = await launch();
  return {
    async run(url, file, images) {
      const { page } = await openPage(chromium, url);
      try {
        return await page.evaluate(`(async (...args) => {${RUN}})(${JSON.stringify([file, images]).slice(1, -1)})`);
      } finally {
        await page.close();
      }
    },
    close: () => chromium.close(),
  };
}

async function startFirefox(): Promise<Browser> {
  const firefox = await Firefox.launch();
  return {
    async run(url, file, images) {
      await firefox.open(url);
      return await firefox.evaluate<string[]>(RUN, file, images);
    },
    close: () => firefox.close(),
  };
}

function browser(id: string, title: string, isThere: boolean, start: () => Promise<Browser>): Platform {
  let started: Promise<Browser> | null = null;
  return {
    ...{ id, title, isSlow: false },
    missing() {
      if (!isThere) return `there is no ${title}`;
      return existsSync(packageFile('dist', 'web')) ? null : 'dist/web is not built: npm run build';
    },
    async digests(subject) {
      const folder = mkdtempSync(path.join(tmpdir(), 'ivit-deploy-'));
      const server = await serve({ '': PAGE, ivit: packageFile('dist', 'web'), model: folder });
      try {
        writeFileSync(path.join(folder, 'model.ivit'), fileOf(subject));
        subject.images.forEach((image, i) => writeFileSync(path.join(folder, `${i}.bin`), image));
        const images = subject.images.map((_, i) => `/model/${i}.bin`);
        started ??= start();
        return await (await started).run(server.url, '/model/model.ivit', images);
      } catch (error) {
        // The next subject begins with a browser of its own.
        await this.close!();
        throw error;
      } finally {
        await server.close();
        rmSync(folder, { recursive: true, force: true });
      }
    },
    async close() {
      const running = started;
      started = null;
      await running?.then((one) => one.close()).catch(() => undefined);
    },
  };
}

/** What `--only` calls the machines of targets.ts, in their order. */
const MACHINE_IDS = [
  ...['gcc', 'clang', 'aarch64', 's390x', 'cortex-m4', 'cortex-m55', 'rv32imc', 'rv32imac', 'rv64imac'],
  ...['sse2', 'avx2', 'vnni', 'dotprod', 'helium', 'rv32v', 'rv64v'],
];

export const PLATFORMS: readonly Platform[] = [
  engine('reference'),
  engine('wasm'),
  engine('native'),
  ...MACHINES.map((machine, i) => exportedC(MACHINE_IDS[i], machine)),
  exportedC('sanitizers', SANITIZED),
  onnxRuntime,
  browser('chromium', 'Chromium', hasChromium, startChromium),
  browser('firefox', 'Firefox', hasFirefox, startFirefox),
];
