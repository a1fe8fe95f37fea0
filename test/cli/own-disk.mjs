// Preloaded into the executable: what lies in a folder `mount` is on a disk of its own.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';

const { renameSync } = fs;
const isMounted = (file) => path.resolve(file).split(path.sep).includes('mount');
fs.renameSync = (from, to) => {
  if (isMounted(from) === isMounted(to)) return renameSync(from, to);
  throw Object.assign(new Error('EXDEV: cross-device link not permitted, rename'), { code: 'EXDEV' });
};
syncBuiltinESMExports();
