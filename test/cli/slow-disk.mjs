// Preloaded into the executable: says on standard error when it begins to write what is called `interrupted`, and takes
// a second for that.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { writeSync, openSync } = fs;
let isFirst = true;
fs.openSync = (path, flags, ...rest) => {
  const handle = openSync(path, flags, ...rest);
  if (isFirst && String(path).includes('interrupted')) {
    isFirst = false;
    writeSync(2, 'writing\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  }
  return handle;
};
syncBuiltinESMExports();
