/** `npm run generate`: writes native/generated.h from what the built TypeScript says. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './prepare.mjs';

run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json']);
const { nativeHeader } = await import('../dist/engine/native-header.js');
writeFileSync(join(root, 'native/generated.h'), nativeHeader());
