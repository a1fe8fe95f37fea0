/**
 * Installs the packed package as users do, and uses it: every package manager, with and without install scripts and a C
 * compiler, on several versions of Node, in an empty folder whose path has a space and an umlaut. Prints a table.
 *
 *   node tools/measure/install-matrix.mjs [--node 20,22,latest] [--managers npm,pnpm,yarn]
 *
 * Needs the npm registry: the package managers and other versions of Node (the npm package `node`) come from there.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const scenes = join(root, 'fixtures/scenes');
const { values } = parseArgs({
  options: {
    node: { type: 'string', default: '20,22,latest' },
    managers: { type: 'string', default: 'npm,pnpm,yarn' },
  },
});
const work = mkdtempSync(join(tmpdir(), 'ivit matrix Übung '));

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options });
  return { status: status ?? -1, stdout: stdout ?? '', text: `${stdout}${stderr}${error?.message ?? ''}` };
}

function must(command, args, options) {
  const result = run(command, args, options);
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${result.text}`);
  return result.stdout;
}

/** Installs packages of the registry into a folder of their own. @returns the folder of their executables */
function fetchTools(name, packages) {
  const folder = join(work, 'tools', name);
  mkdirSync(folder, { recursive: true });
  must('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', ...packages], { cwd: folder });
  return join(folder, 'node_modules');
}

/** A folder of links to what a PATH of this machine has, without compilers. */
function pathWithoutCompiler() {
  const folder = join(work, 'no compiler');
  mkdirSync(folder);
  for (const from of process.env.PATH.split(delimiter)) {
    for (const name of existsSync(from) ? readdirSync(from) : []) {
      if (/^(.*-)?(cc|c\+\+|gcc|g\+\+|clang|clang\+\+|c89|c99|tcc)(-[\d.]+)?$|^(node|npm|npx)$/.test(name)) continue;
      if (!existsSync(join(folder, name))) symlinkSync(join(from, name), join(folder, name));
    }
  }
  return folder;
}

/** The folder of a `node` of that version; null: not to be had. */
function findNode(version) {
  if (process.version.startsWith(`v${version}.`)) {
    // Not its own folder, where there may be compilers beside it.
    const own = join(work, 'tools', 'own node');
    mkdirSync(own, { recursive: true });
    symlinkSync(process.execPath, join(own, 'node'));
    return own;
  }
  const folder = join(fetchTools(`node ${version}`, [`node@${version}`]), 'node', 'bin');
  return existsSync(join(folder, 'node')) ? folder : null;
}

const INSTALL = {
  npm: (tarball, ignore) => ['install', tarball, '--no-audit', '--no-fund', ...(ignore ? ['--ignore-scripts'] : [])],
  pnpm: (tarball, ignore) => ['add', tarball, ...(ignore ? ['--ignore-scripts'] : [])],
  yarn: (tarball, ignore) => ['add', tarball, '--no-lockfile', ...(ignore ? ['--ignore-scripts'] : [])],
};

function megabytes(folder) {
  let sum = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) sum += statSync(join(entry.parentPath ?? entry.path, entry.name)).size;
  }
  return Math.round(sum / 1e6);
}

function tryOut({ node, manager, ignore, compiler }, tarball, tools) {
  const folder = mkdtempSync(join(work, `${manager} `));
  writeFileSync(join(folder, 'package.json'), '{ "name": "app", "version": "1.0.0", "private": true }\n');
  const rest = compiler ? process.env.PATH : tools.withoutCompiler;
  const env = { ...process.env, PATH: [node.folder, rest].join(delimiter), CC: '' };
  for (const name of Object.keys(env)) if (/^(npm_|INIT_CWD)/i.test(name)) delete env[name];
  const options = { cwd: folder, env };
  const nodePath = join(node.folder, 'node');
  const installed = run(nodePath, [tools[manager], ...INSTALL[manager](tarball, ignore)], options);
  const row = { install: installed.status };
  if (installed.status !== 0) return { ...row, fault: installed.text.trim().split('\n').slice(-6).join(' | ') };
  row.size = `${megabytes(join(folder, 'node_modules'))} MB`;
  const ivit = (...args) => run(nodePath, [join(folder, 'node_modules/ivit/bin/ivit.js'), ...args], options);
  const steps = {
    doctor: ['doctor', '--json'],
    quantize: [
      'quantize',
      join(scenes, 'scenes_vit.onnx'),
      '--images',
      join(scenes, 'calibration'),
      '--effort',
      'fast',
      '--num-images',
      '16',
      '-o',
      'm.ivit',
    ],
    infer: ['infer', join(scenes, 'test/sailboat/00.jpg'), '-m', 'm.ivit', '--json'],
    eval: ['eval', '--dataset', join(scenes, 'test'), '-m', 'm.ivit', '--json'],
  };
  for (const [name, args] of Object.entries(steps)) {
    const result = ivit(...args);
    row[name] = result.status;
    if (result.status !== 0) row.fault = result.text.trim().slice(-200);
    if (name === 'eval' && result.status === 0) row.top1 = JSON.parse(result.stdout).top1.toFixed(3);
  }
  const after = ivit('doctor', '--json');
  if (after.status === 0) {
    const { backend, onnxruntime } = JSON.parse(after.stdout);
    row.backend = `${backend.name} (${backend.isa})`;
    row.runtime = onnxruntime.name;
  }
  rmSync(folder, { recursive: true, force: true });
  return row;
}

try {
  const tarball = join(
    work,
    must('npm', ['pack', '--silent', '--pack-destination', work], { cwd: root }).trim().split('\n').at(-1),
  );
  process.stdout.write(`${tarball.split('/').at(-1)}: ${(statSync(tarball).size / 1e6).toFixed(1)} MB packed\n\n`);
  const modules = fetchTools('managers', ['npm', 'pnpm', 'yarn']);
  const executable = (name, ...candidates) => candidates.map((file) => join(modules, name, file)).find(existsSync);
  const tools = {
    npm: executable('npm', 'bin/npm-cli.js'),
    pnpm: executable('pnpm', 'bin/pnpm.mjs', 'bin/pnpm.cjs'),
    yarn: executable('yarn', 'bin/yarn.js'),
    withoutCompiler: pathWithoutCompiler(),
  };
  const columns = [
    'Node',
    'manager',
    'scripts',
    'compiler',
    'install',
    'doctor',
    'quantize',
    'infer',
    'eval',
    'top-1',
    'backend',
    'ONNX Runtime',
    'size',
  ];
  process.stdout.write(`| ${columns.join(' | ')} |\n|${columns.map(() => '---|').join('')}\n`);
  let faults = 0;
  for (const wanted of values.node.split(',')) {
    const folder = findNode(wanted);
    if (folder === null) {
      process.stdout.write(`Node ${wanted} could not be fetched\n`);
      continue;
    }
    const node = { folder, version: must(join(folder, 'node'), ['--version']).trim() };
    for (const manager of values.managers.split(',')) {
      for (const [ignore, compiler] of [
        [false, true],
        [true, true],
        [false, false],
        [true, false],
      ]) {
        const row = tryOut({ node, manager, ignore, compiler }, tarball, tools);
        const cells = [
          node.version,
          manager,
          ignore ? 'ignored' : 'run',
          compiler ? 'yes' : 'no',
          row.install,
          row.doctor,
          row.quantize,
          row.infer,
          row.eval,
          row.top1,
          row.backend,
          row.runtime,
          row.size,
        ];
        process.stdout.write(`| ${cells.map((cell) => cell ?? '–').join(' | ')} |\n`);
        if (row.fault !== undefined) {
          faults++;
          process.stdout.write(`${row.fault}\n`);
        }
      }
    }
  }
  process.exitCode = faults === 0 ? 0 : 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
