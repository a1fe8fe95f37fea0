/**
 * Makes a fresh clone ready: installs the dependencies where they are missing, and builds. npm runs this before it
 * packs or publishes, and where the package is installed from git.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a command in the repository, its output shown; ends this process where it fails. */
export function run(command, args) {
  // npm is a script on Windows, which only a shell can run.
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32' && command === 'npm',
  });
  if (error !== undefined) process.stderr.write(`${command}: ${error.message}\n`);
  if (status !== 0) process.exit(status ?? 1);
}

/** Installs the dependencies where some are missing. None of them needs a script of its own to work. */
export function install() {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const names = Object.keys({ ...dependencies, ...devDependencies });
  if (names.every((name) => existsSync(join(root, 'node_modules', name)))) return;
  const how = existsSync(join(root, 'node_modules')) ? ['install', '--no-save'] : ['ci'];
  run('npm', [...how, '--ignore-scripts', '--no-audit', '--no-fund']);
}

export function prepare() {
  install();
  run('npm', ['run', '--silent', 'build']);
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) prepare();
