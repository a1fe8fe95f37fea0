// Loaded with --import: writes the process's peak memory, in bytes, to the file named in IVIT_PEAK_MEMORY when it ends.
import { writeFileSync } from 'node:fs';

process.on('exit', () => writeFileSync(process.env.IVIT_PEAK_MEMORY, String(process.resourceUsage().maxRSS * 1024)));
