// Preloaded into the executable: a disk that has no room for more than a few bytes.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const writeSync = fs.writeSync;
fs.writeSync = (handle, data, ...rest) => {
  if (data.length < 1000) return writeSync(handle, data, ...rest);
  writeSync(handle, data.subarray(0, 500));
  throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
};
syncBuiltinESMExports();
