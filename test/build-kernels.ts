import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Builds the C kernels before the tests, unless they are up to date. */
export default function setup(): void {
  for (const script of ['build-wasm.mjs', 'build-addon.mjs']) {
    const path = fileURLToPath(new URL(`../native/${script}`, import.meta.url));
    const { status } = spawnSync(process.execPath, [path], { stdio: 'inherit' });
    if (status !== 0) throw new Error(`native/${script} failed`);
  }
}
