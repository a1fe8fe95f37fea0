/** The integer model in fixtures/scenes. */
import path from 'node:path';
import { packageFile } from '../src/package-root.js';

export const SCENES = packageFile('fixtures', 'scenes');
export const SCENES_MODEL = path.join(SCENES, 'scenes.ivit');

/** Digests of the integer model for images of its test set: whatever runs the model gives these. */
export const GOLDEN_DIGESTS: Readonly<Record<string, string>> = {
  'car/00.jpg': '54d0b41386289bef46dab23b3a7138d6ea99507cea64d1c8d200ea62fda76f11',
  'key/00.jpg': 'ae0b007cec2c5180d690d42ab3e18c34f469dea2099643441b6b7b5aed70842d',
  'sailboat/00.jpg': 'c3451aa9a89101b4d33b20e6f896c78c12090c5df86c7d79b021f6350978a4d1',
};
