import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { serve } from '../api/serve.js';
import { addExamples } from './examples.js';
import { addEngineOptions, engineOptions, findModelIfAny } from './options.js';
import type { EngineFlags } from './options.js';
import { noticeSlowKernels } from './kernels.js';
import { notice, pairs, print, printJson, warn, warningsTold } from './render.js';

interface Flags extends EngineFlags {
  readonly host: string;
  readonly port: number;
  readonly json?: boolean;
}

export function addServeCommand(program: Command): void {
  const command = program
    .command('serve')
    .description('serve a page that runs a model in the browser, and POST /infer, until it is interrupted')
    .argument('[model.ivit]', 'the model (default: $IVIT_MODEL, else the only .ivit in this folder, else none)')
    .option('--host <address>', 'where to listen; others than 127.0.0.1 let other machines in', '127.0.0.1')
    .option('--port <n>', 'the port; 0 takes any that is free', portNumber, 8080)
    .option('--json', 'print the address and the model as JSON');
  addEngineOptions(command).action(run);
  addExamples(command, {
    'serve model.ivit': 'a page at http://127.0.0.1:8080/',
  });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65535) return port;
  throw new InvalidArgumentError('It must be a whole number from 0 to 65535.');
}

async function run(named: string | undefined, { host, port, json, ...flags }: Flags): Promise<void> {
  const file = findModelIfAny({ model: named });
  if (file === undefined) notice('There is no .ivit file in this folder: the page is served without a model.');
  else noticeSlowKernels(flags.backend);
  const { url, isLocal, model } = await serve({ model: file, host, port, onNotice: notice, ...engineOptions(flags) });
  if (!isLocal) warn(`Whoever reaches ${host} can use this server, and download the model.`);
  const engine = model === null ? {} : { backend: model.backend, isa: model.isa, threads: model.threads };
  if (json)
    return printJson({ url, model: file ?? null, hash: model?.file.hash ?? null, ...engine, warnings: warningsTold() });
  print(
    pairs([
      ['page', url],
      ...(model === null
        ? []
        : ([
            ['model', `${file}, ${model.file.hash}`],
            ['runs on', `${model.backend} (${model.isa}), ${model.threads} threads`],
            ['try', `curl --data-binary @photo.jpg ${url}infer`],
          ] as const)),
    ]),
  );
}
