/**
 * How long `ivit infer` on one image takes from the start of the process to its end, and how much memory it takes at
 * most, beside a Node that does nothing. Everything gets a turn in every round.
 *
 *   node bench/startup.mjs MODEL.ivit IMAGE [rounds]
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const IVIT = fileURLToPath(new URL('../bin/ivit.js', import.meta.url));
/** Loaded into every process measured: writes its peak memory in KiB and its processor time in µs when it ends. */
const REPORT = `data:text/javascript,import { writeSync } from 'node:fs';process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  writeSync(3, JSON.stringify({ peak: maxRSS, cpu: userCPUTime + systemCPUTime }));
});`;

const [model, image, rounds = '15'] = process.argv.slice(2);
if (image === undefined) {
  process.stderr.write('usage: node bench/startup.mjs MODEL.ivit IMAGE [rounds]\n');
  process.exit(2);
}

const infer = (backend) => [IVIT, 'infer', image, '-m', model, '--threads', '1', '--backend', backend];
const commands = { 'node alone': ['-e', '0'], native: infer('native'), wasm: infer('wasm') };
const runs = Object.fromEntries(Object.keys(commands).map((name) => [name, []]));

for (let round = 0; round < Number(rounds); round++) {
  for (const [name, args] of Object.entries(commands)) {
    const start = performance.now();
    const { status, output } = spawnSync(process.execPath, ['--import', REPORT, ...args], { stdio: ['ignore', 'ignore', 'inherit', 'pipe'] });
    if (status !== 0) throw new Error(`${name}: exit status ${status}`);
    runs[name].push({ wall: performance.now() - start, ...JSON.parse(output[3].toString()) });
  }
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const figures = Object.entries(runs).map(([name, list]) => ({
  name,
  wall: median(list.map(({ wall }) => wall)),
  least: Math.min(...list.map(({ wall }) => wall)),
  cpu: median(list.map(({ cpu }) => cpu)) / 1000,
  peak: (median(list.map(({ peak }) => peak)) * 1024) / 1e6,
}));
const [own] = figures;
process.stdout.write(`Node ${process.version}, median of ${rounds}\n\n`);
process.stdout.write('| what | start to end | least | processor time | peak memory | more than Node alone |\n|---|---:|---:|---:|---:|---:|\n');
for (const { name, wall, least, cpu, peak } of figures) {
  const more = name === own.name ? '' : `${(peak - own.peak).toFixed(1)} MB`;
  process.stdout.write(`| ${name} | ${wall.toFixed(0)} ms | ${least.toFixed(0)} ms | ${cpu.toFixed(0)} ms | ${peak.toFixed(1)} MB | ${more} |\n`);
}
