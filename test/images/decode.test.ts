import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { decodeImage, decodeOriented } from '../../src/images/decode.js';

const fixtures = fileURLToPath(new URL('../../fixtures/decode/', import.meta.url));
const golden = JSON.parse(readFileSync(path.join(fixtures, 'golden.json'), 'utf8')) as Record<
  string,
  [number, number, string]
>;
const folder = mkdtempSync(path.join(os.tmpdir(), 'ivit-decode-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, bytes: Uint8Array): string {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return file;
}

const fixture = (name: string) => new Uint8Array(readFileSync(path.join(fixtures, name)));

describe("decodeImage gives Pillow's pixels", () => {
  for (const [name, [width, height, pixels]] of Object.entries(golden)) {
    it(name, async () => {
      const expected = { data: new Uint8Array(Buffer.from(pixels, 'base64')), width, height };
      expect(await decodeImage(path.join(fixtures, name))).toEqual(expected);
      expect(await decodeImage(fixture(name), 'standard input')).toEqual(expected);
    });
  }

  it('ignores colour profiles', async () => {
    const pixels = Buffer.from([200, 30, 90]);
    const raw = { width: 1, height: 1, channels: 3 } as const;
    const tagged = await sharp(pixels, { raw }).withIccProfile('p3', { attach: true }).png().toBuffer();
    const stored = await sharp(tagged, { ignoreIcc: true }).raw().toBuffer();
    expect([...(await decodeImage(tagged)).data]).toEqual([...stored]);
    expect([...stored]).not.toEqual([...(await sharp(tagged).raw().toBuffer())]);
  });
});

describe('EXIF orientation', () => {
  /** Two pixels, red over blue. */
  const raw = { width: 1, height: 2, channels: 3 } as const;
  const upright = Buffer.from([255, 0, 0, 0, 0, 255]);
  const tagged = (format: 'png' | 'webp' | 'tiff', orientation: number) =>
    sharp(upright, { raw })
      .toFormat(format, format === 'tiff' ? { compression: 'lzw' } : { lossless: true })
      .withMetadata({ orientation })
      .toBuffer();

  it.each([
    ['png', 6],
    ['webp', 8],
    ['png', 3],
  ] as const)('of a %s is ignored, or applied where asked for: %i', async (format, orientation) => {
    const file = await tagged(format, orientation);
    expect(await decodeOriented(file, 'ignore')).toEqual({
      image: { data: new Uint8Array(upright), width: 1, height: 2 },
      isTurned: true,
    });
    const turned = { 3: [0, 0, 255, 255, 0, 0], 6: [0, 0, 255, 255, 0, 0], 8: [255, 0, 0, 0, 0, 255] }[orientation];
    const { width, height, data } = await decodeImage(file, undefined, { exif: 'apply' });
    expect([width, height]).toEqual(orientation === 3 ? [1, 2] : [2, 1]);
    expect([...data]).toEqual(turned);
  });

  it('upright is nothing to tell of', async () => {
    expect((await decodeOriented(await tagged('png', 1), 'apply')).isTurned).toBe(false);
  });

  it('of a TIFF is always applied, as Pillow applies it', async () => {
    const { width, height, data } = await decodeImage(await tagged('tiff', 6));
    expect([width, height, ...data]).toEqual([2, 1, 0, 0, 255, 255, 0, 0]);
  });
});

describe('decodeImage refuses', () => {
  const cases: [string, () => string | Uint8Array, RegExp][] = [
    ['a missing file', () => path.join(folder, 'absent.png'), /Cannot decode .*absent\.png: no such file/],
    ['a folder', () => folder, /ivit-decode-.*: it is a folder/],
    ['an empty file', () => write('empty.jpg', new Uint8Array()), /empty\.jpg: it is empty/],
    ['no bytes', () => new Uint8Array(), /the image: it is empty/],
    ['text', () => write('text.png', Buffer.from('this is no image')), /text\.png: not an image in a known format/],
    [
      'a BMP',
      () => write('a.bmp', Buffer.from('BM not read')),
      /a\.bmp: BMP images are not supported; convert it to PNG/,
    ],
    ['a JPEG XL', () => write('a.jxl', Buffer.from([0xff, 0x0a, 0, 0])), /a\.jxl: JXL images are not supported/],
    [
      'a truncated JPEG',
      () => write('cut.jpg', fixture('subsampled.jpg').subarray(0, -30)),
      /cut\.jpg: .*premature end/i,
    ],
    [
      'a truncated PNG',
      () => write('cut.png', fixture('rgb.png').subarray(0, 200)),
      /cut\.png: .*(read error|truncated|not enough)/i,
    ],
    ['a JPEG cut in its header', () => write('head.jpg', fixture('subsampled.jpg').subarray(0, 40)), /head\.jpg: /],
    ['too many pixels', () => write('huge.png', hugePng()), /huge\.png: more than 178956970 pixels/],
  ];
  for (const [what, input, message] of cases) {
    it(what, async () => {
      const error: unknown = await decodeImage(input()).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(InputError);
      expect((error as Error).message).toMatch(message);
      expect((error as Error).message).not.toContain('\n');
    });
  }

  it('calls bytes by the name it is given', async () => {
    await expect(decodeImage(Buffer.from('no image'), 'standard input')).rejects.toThrow(
      /^Cannot decode standard input: /,
    );
  });
});

/** A PNG whose header says 20000 × 20000. */
function hugePng(): Uint8Array {
  const bytes = Buffer.from(fixture('rgb.png'));
  bytes.writeUInt32BE(20000, 16);
  bytes.writeUInt32BE(20000, 20);
  bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
  return bytes;
}

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
