import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { decodeImage, decodeOriented } from '../../src/images/decode.js';

const fixtures = fileURLToPath(new URL('../../fixtures/decode/', import.meta.url));
type Golden = Record<string, [width: number, height: number, pixels: string]>;
const goldenOf = (file: string) => JSON.parse(readFileSync(path.join(fixtures, file), 'utf8')) as Golden;
const golden = { ...goldenOf('golden.json'), ...goldenOf('bitmaps.json') };
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

/** Writes the checksum of a PNG's eXIf chunk anew. */
function fixChecksum(png: Buffer): void {
  const at = png.indexOf('eXIf');
  const length = png.readUInt32BE(at - 4);
  png.writeUInt32BE(crc32(png.subarray(at, at + 4 + length)), at + 4 + length);
}

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

  it.each([0, 9, 65535])('that is none, %i, means upright', async (tag) => {
    for (const format of ['tiff', 'png'] as const) {
      const file = await tagged(format, 6);
      const littleEndian = Buffer.from([0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0]);
      const bigEndian = Buffer.from([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6]);
      const at = Math.max(file.indexOf(littleEndian), file.indexOf(bigEndian));
      expect(at).toBeGreaterThan(0);
      if (file.includes(littleEndian)) file.writeUInt16LE(tag, at + 8);
      else file.writeUInt16BE(tag, at + 8);
      if (format === 'png') fixChecksum(file);
      for (const exif of ['apply', 'ignore'] as const) {
        const { image, isTurned } = await decodeOriented(file, exif);
        expect([image.width, image.height, ...image.data, isTurned]).toEqual([1, 2, ...upright, false]);
      }
    }
  });
});

describe('decodeImage refuses', () => {
  const cases: [string, () => string | Uint8Array, RegExp][] = [
    ['a missing file', () => path.join(folder, 'absent.png'), /Cannot decode .*absent\.png: no such file/],
    ['a folder', () => folder, /ivit-decode-.*: it is a folder/],
    ['an empty file', () => write('empty.jpg', new Uint8Array()), /empty\.jpg: it is empty/],
    ['no bytes', () => new Uint8Array(), /the image: it is empty/],
    ['text', () => write('text.png', Buffer.from('this is no image')), /text\.png: not an image in a known format/],
    ['a BMP that is none', () => write('a.bmp', Buffer.from('BM not read')), /a\.bmp: not an image in a known/],
    ['a truncated BMP', () => fixture('rgb24.bmp').subarray(0, -9), /the BMP image is truncated/],
    ['a BMP of runs that end early', () => fixture('rle8.bmp').subarray(0, -9), /the BMP image is truncated/],
    ['a BMP of too many pixels', () => hugeBmp(), /more than 178956970 pixels/],
    ['a truncated PPM', () => fixture('rgb.ppm').subarray(0, -1), /the Netpbm image is truncated or damaged/],
    ['a PGM of words that are no numbers', () => Buffer.from('P2 2 1 255 12 x'), /Netpbm image is truncated or/],
    ['a PPM of no pixels', () => Buffer.from('P6 0 1 255 '), /it has 0×1 pixels/],
    ['a PPM of too many pixels', () => Buffer.from('P3 20000 20000 255\n1 2 3'), /more than 178956970 pixels/],
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

describe('images of other kinds are named for what they are', () => {
  it.each<[string, string, RegExp]>([
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>', /an SVG drawing.*render it to PNG/],
    ['SVG', '\xef\xbb\xbf<?xml version="1.0"?>\n<!-- by hand -->\n<svg width="8"></svg>', /an SVG drawing/],
    ['SVG', '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd"><svg>', /an SVG drawing/],
    ['SVG', `<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>`, /svg/],
    ['HEIC', '\0\0\0\x18ftypheic\0\0\0\0mif1heic', /an HEIC photograph.*convert it to JPEG or PNG/],
    ['HEIC', '\0\0\0\x18ftypmif1\0\0\0\0mif1heic', /an HEIC photograph/],
    ['JPEG XL', '\xff\x0a\0\0', /a JPEG XL image: convert.*djxl/],
    ['JPEG XL', '\0\0\0\x0cJXL \r\n\x87\n', /a JPEG XL image/],
    ['JPEG 2000', '\0\0\0\x0cjP  \r\n\x87\n', /a JPEG 2000 image/],
    ['JPEG 2000', '\xff\x4f\xff\x51\0', /a JPEG 2000 image/],
    ['Photoshop', '8BPS\0\x01', /a Photoshop document/],
    ['DICOM', `${'\0'.repeat(128)}DICM`, /a DICOM image/],
    ['icon', '\0\0\x01\0\x01\0', /an icon file/],
    ['raw', 'II*\0\x10\0\0\0CR\x02\0', /a camera raw file: develop it/],
  ])('%s', async (_, bytes, message) => {
    await expect(decodeImage(Buffer.from(bytes, 'latin1'))).rejects.toThrow(message);
    const file = write('named.jpg', Buffer.from(bytes, 'latin1'));
    await expect(decodeImage(file)).rejects.toThrow(message);
  });
});

it('a BMP of run lengths may leave out pixels and rows: they have colour 0', async () => {
  const bytes = Buffer.from(fixture('rle8.bmp'));
  const at = bytes.readUInt32LE(10);
  const runs = [3, 9, 0, 2, 2, 1, 2, 7, 0, 0, 7, 3, 0, 1];
  const { data } = await decodeImage(Buffer.concat([bytes.subarray(0, at), Buffer.from(runs)]));
  const colour = (index: number) => [2, 1, 0].map((c) => bytes[54 + 4 * index + c]);
  const rows = [0, 0, 0, 0, 0, 0, 0].concat([0, 0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3, 3]);
  rows.push(0, 0, 0, 0, 0, 7, 7, 9, 9, 9, 0, 0, 0, 0);
  expect([...data]).toEqual(rows.flatMap(colour));
});

/** A BMP whose header says 20000 × 20000. */
function hugeBmp(): Uint8Array {
  const bytes = Buffer.from(fixture('rgb24.bmp'));
  bytes.writeInt32LE(20000, 18);
  bytes.writeInt32LE(20000, 22);
  return bytes;
}

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

it.each([
  ['version https://git-lfs.github.com/spec/v1\noid sha256:01\nsize 2\n', /Git LFS pointer.*git lfs pull/],
  ['\n<!DOCTYPE html><html>404</html>', /web page \(HTML\): download the image itself/],
])('what was downloaded in place of an image is named: %j', async (content, message) => {
  await expect(decodeImage(Buffer.from(content), 'a.jpg')).rejects.toThrow(message);
});
