/**
 * `npm run tour`: packs ivit, installs the tarball in an empty folder, uses it there as a new user would, and writes
 * docs/tour.md with what the terminal showed and pictures of what was made.
 *
 * Needs the npm registry, Chromium (IVIT_CHROMIUM, else /usr/bin/chromium) and util-linux's `script`, which gives the
 * commands a terminal of 80 columns.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import sharp from 'sharp';
import { prepare, root } from './prepare.mjs';

const MOST_BYTES = 150_000;
const SHOWN_LINES = 46;
const PICTURES = join(root, 'docs/tour');
const work = mkdtempSync(join(tmpdir(), 'ivit-tour-'));

/** What a new user types, after which words, and what there is to see. */
const STEPS = [
  { command: 'ivit --help', before: 'What is there?' },
  { command: 'ivit quantize --help', before: 'How is a model quantized?' },
  {
    command: 'ivit quantize scenes/scenes_vit.onnx --images scenes/calibration -o scenes.ivit --report report.html',
    before: 'A model of drawn [scenes](../fixtures/scenes/README.md), and images to calibrate it on.',
    pictures: [
      ['report.png', 'The report begins with what to do'],
      ['report-dark-phone.png', 'On a phone, at night'],
    ],
  },
  {
    command: 'ivit infer scenes/test/sailboat/00.jpg scenes/test/car/00.jpg -m scenes.ivit --top 3 --explain where.png',
    before: 'Two images, and where the model looked.',
    pictures: [['where.png', 'Attention rollout, and the heads of the last block']],
  },
  {
    command: 'ivit eval --dataset scenes/test -m scenes.ivit --float scenes/scenes_vit.onnx',
    before: 'How good is it, beside the float model?',
  },
  { command: 'ivit bench -m scenes.ivit --float scenes/scenes_vit.onnx', before: 'And how fast?' },
];

function must(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', cwd: work, ...options });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stdout}${stderr}${error?.message ?? ''}`);
  return stdout;
}

function install() {
  must('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', work], { cwd: root });
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  must('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', `./ivit-${version}.tgz`]);
  for (const name of ['calibration', 'test', 'scenes_vit.onnx', 'config.json', 'preprocessor_config.json'])
    cpSync(join(root, 'fixtures/scenes', name), join(work, 'scenes', name), { recursive: true });
}

/** What a terminal shows: standard output as on a terminal, standard error, without its progress bars, before it. */
function typed(command) {
  const line = `stty cols 80; PATH="$PWD/node_modules/.bin:$PATH" ${command} 2> stderr.txt`;
  const shown = must('script', ['-qec', line, '/dev/null'], {
    env: { ...process.env, NO_COLOR: '1', SHELL: '/bin/sh' },
  });
  return `${readFileSync(join(work, 'stderr.txt'), 'utf8')}${shown}`.replaceAll('\r', '').trimEnd();
}

function transcript(command) {
  const lines = typed(command).split('\n');
  const cut = lines.length > SHOWN_LINES ? [...lines.slice(0, SHOWN_LINES), '…'] : lines;
  return `\`\`\`\n$ ${command}\n${cut.join('\n')}\n\`\`\`\n`;
}

async function save(name, picture) {
  const png = await sharp(picture).png({ palette: true, colours: 64, effort: 10 }).toBuffer();
  if (png.length > MOST_BYTES) throw new Error(`${name} has ${png.length} bytes, more than ${MOST_BYTES}`);
  writeFileSync(join(PICTURES, name), png);
}

async function photograph() {
  const browser = await chromium.launch({
    executablePath: process.env.IVIT_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  const shoot = async (name, options) => {
    const page = await browser.newPage(options);
    await page.goto(pathToFileURL(join(work, 'report.html')).href);
    await save(name, await page.screenshot());
  };
  await shoot('report.png', { viewport: { width: 1000, height: 1100 } });
  await shoot('report-dark-phone.png', { viewport: { width: 390, height: 844 }, colorScheme: 'dark' });
  await browser.close();
  await save(
    'where.png',
    await sharp(join(work, 'where.png')).resize({ width: 900, withoutEnlargement: true }).toBuffer(),
  );
}

prepare();
try {
  install();
  rmSync(PICTURES, { recursive: true, force: true });
  mkdirSync(PICTURES, { recursive: true });
  const parts = STEPS.map(({ command, before, pictures = [] }) => {
    process.stdout.write(`${command}\n`);
    const images = pictures.map(([name, title]) => `![${title}](tour/${name})\n`);
    return [before + '\n', transcript(command), ...images].join('\n');
  });
  await photograph();
  const head =
    '# A tour\n\nThe package as packed, installed in an empty folder, and used from its own help alone. ' +
    '`npm run tour` wrote this page.\nTimes are those of the machine that it ran on.\n';
  writeFileSync(join(root, 'docs/tour.md'), [head, ...parts].join('\n'));
} finally {
  rmSync(work, { recursive: true, force: true });
}
