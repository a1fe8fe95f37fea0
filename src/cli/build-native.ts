import type { Command } from 'commander';
import { InputError } from '../errors.js';
import { addExamples } from './examples.js';
import { nativeFailure } from '../engine/load.js';
import { forgetFailure, loadBuilder } from './kernels.js';
import { print } from './render.js';

export function addBuildNativeCommand(program: Command): void {
  const command = program
    .command('build-native')
    .description('compile the native kernels with the C compiler of this machine ($CC, cc, gcc or clang)')
    .option('--verbose', "show the compiler's messages")
    .action(run);
  addExamples(command, {
    'build-native --verbose': "with the compiler's messages",
  });
}

async function run({ verbose = false }: { verbose?: boolean }): Promise<void> {
  forgetFailure();
  const { buildAddon } = await loadBuilder();
  const failure = (await buildAddon({ verbose })) ?? nativeFailure();
  if (failure !== null)
    throw new InputError(
      `The native kernels were not built: ${failure}. ` +
        (/EACCES|EPERM|EROFS/.test(failure)
          ? 'Run it as the user who may write there. '
          : 'Debian: apt-get install gcc libc6-dev; Alpine: apk add gcc musl-dev; macOS: xcode-select --install. ') +
        'Without them the WebAssembly kernels run',
    );
  print('The native kernels are built, and load.');
}
