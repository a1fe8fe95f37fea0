/**
 * How long `ivit infer` on one image takes from the start of the process to its first output and to its end, and how
 * much memory it takes at most, beside a Node that does nothing. Everything gets a turn in every round.
 *
 *   node tools/measure/startup.mjs MODEL.ivit IMAGE [rounds]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const IVIT = fileURLToPath(new URL('../../bin/ivit.js', import.meta.url));
/** Loaded into every process measured: writes its peak memory in KiB and its processor time in µs when it ends. */
const REPORT = `data:text/javascript,import { writeSync } from 'node:fs';process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  writeSync(3, JSON.stringify({ peak: maxRSS, cpu: userCPUTime + systemCPUTime }));
});`;

const [model, image, rounds = '15'] = process.argv.slice(2);
if (image === undefined) {
  process.stderr.write('usage: node tools/measure/startup.mjs MODEL.ivit IMAGE [rounds]\n');
  process.exit(2);
}

const infer = (backend) => [IVIT, 'infer', image, '-m', model, '--threads', '1', '--backend', backend];
const commands = { 'node alone': ['-e', '0'], native: infer('native'), wasm: infer('wasm') };
const runs = Object.fromEntries(Object.keys(commands).map((name) => [name, []]));

/** One process: when it first writes (NaN: never) and ends, in ms from its start, and what it reports. */
async function measure(args) {
  const start = performance.now();
  const child = spawn(process.execPath, ['--import', REPORT, ...args], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
  });
  let first = NaN;
  child.stdout.once('data', () => (first = performance.now() - start));
  const [report, [status]] = await Promise.all([text(child.stdio[3]), once(child, 'close')]);
  const end = performance.now() - start;
  if (status !== 0) throw new Error(`${args.join(' ')}: exit status ${status}`);
  return { first, end, ...JSON.parse(report) };
}

for (let round = 0; round < Number(rounds); round++) {
  for (const [name, args] of Object.entries(commands)) runs[name].push(await measure(args));
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const figures = Object.entries(runs).map(([name, list]) => ({
  name,
  first: median(list.map(({ first }) => first)),
  leastFirst: Math.min(...list.map(({ first }) => first)),
  end: median(list.map(({ end }) => end)),
  leastEnd: Math.min(...list.map(({ end }) => end)),
  cpu: median(list.map(({ cpu }) => cpu)) / 1000,
  peak: (median(list.map(({ peak }) => peak)) * 1024) / 1e6,
}));
const [own] = figures;
process.stdout.write(`Node ${process.version}, median of ${rounds}\n\n`);
process.stdout.write(
  '| what | to first output | least | to the end | least | processor time | peak memory | more than Node alone |\n',
);
process.stdout.write('|---|---:|---:|---:|---:|---:|---:|---:|\n');
const milliseconds = (value) => (Number.isNaN(value) ? '' : `${value.toFixed(0)} ms`);
for (const { name, first, leastFirst, end, leastEnd, cpu, peak } of figures) {
  const more = name === own.name ? '' : `${(peak - own.peak).toFixed(1)} MB`;
  const times = [first, leastFirst, end, leastEnd, cpu].map(milliseconds).join(' | ');
  process.stdout.write(`| ${name} | ${times} | ${peak.toFixed(1)} MB | ${more} |\n`);
}
