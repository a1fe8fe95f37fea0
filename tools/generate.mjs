/** `npm run generate`: writes what follows from the TypeScript: C header, manual page, schema of options. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepare, root, run } from './prepare.mjs';

run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json']);
const { nativeHeader } = await import('../dist/engine/native-header.js');
const { createProgram } = await import('../dist/cli/program.js');
const { manPage } = await import('../dist/cli/man-page.js');
const { configSchema } = await import('../dist/cli/config.js');

writeFileSync(join(root, 'native/generated.h'), nativeHeader());
mkdirSync(join(root, 'man'), { recursive: true });
writeFileSync(join(root, 'man/ivit.1'), manPage(await createProgram()));
writeFileSync(join(root, 'ivit.schema.json'), `${JSON.stringify(configSchema(await createProgram()), null, 2)}\n`);
// tsc laid modules into dist/ that are not bundled.
prepare();
