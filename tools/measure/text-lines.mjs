/** Lines of text as pictures, for models that read: made by a script, the same lines for the same seed. */
import sharp from 'sharp';

export const HEIGHT = 48;
export const WIDTH = 320;

/** What PaddleOCR fills a short line up with: 0 after normalization by mean = std = 0.5. */
const PADDING = 128;

const WORDS =
  'the quick brown fox jumps over lazy dogs Total Invoice Street Platform Coffee Exit Open Sunday Museum Gate ' +
  'Ticket valid until Price Fresh Orange juice North South Station Hotel Welcome please keep clear of doors Zurich ' +
  'HIGH VOLTAGE NO SMOKING Express Pizza Quality jacket Yellow Kitchen vehicle maximum speed Bridge University';
const HAN =
  '今天天气很好我们去公园散步 请在入口处排队等候 中国人民银行 北京市海淀区中关村大街 欢迎光临谢谢惠顾 ' +
  '上海浦东国际机场 小心地滑禁止吸烟 总计金额数量单价 高速公路服务区 有限公司营业执照 新华书店图书馆 ' +
  '早上好晚安再见 语文数学英语物理化学 红色绿色蓝色黄色 春夏秋冬东南西北 电话号码地址姓名 火车站售票处 ' +
  '生日快乐恭喜发财 牛肉面米饭鸡蛋汤 电脑手机游戏音乐';
const FONTS = ['DejaVu Sans', 'DejaVu Serif', 'DejaVu Sans Mono'];
const STYLES = ['', ' Bold', ' Oblique'];

/** A small generator of its own (mulberry32): numbers from 0 up to 1. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pick = (random, list) => list[Math.floor(random() * list.length)];
const between = (random, low, high) => low + Math.floor(random() * (high - low + 1));
const several = (random, count, make) => Array.from({ length: count }, () => make(random));

function number(random) {
  const digits = (count) => several(random, count, (next) => `${Math.floor(next() * 10)}`).join('');
  return pick(random, [
    `${digits(2)}.${digits(2)}`,
    `${digits(4)}-${digits(2)}-${digits(2)}`,
    digits(8),
    `+${digits(2)} ${digits(3)} ${digits(4)}`,
    `${digits(2)}:${digits(2)}`,
    `$${digits(3)}.${digits(2)}`,
  ]);
}

/** What a line says; `han` tells whether there is a font for Chinese. */
function wording(random, han) {
  const kind = random();
  const latin = (count) => several(random, count, (next) => pick(next, WORDS.split(' '))).join(' ');
  if (han && kind < 0.35) return pick(random, HAN.split(' ')).slice(0, between(random, 3, 12));
  if (han && kind < 0.45) return pick(random, HAN.split(' ')).slice(0, 4) + number(random);
  if (kind < 0.65) return number(random);
  if (kind < 0.8) return `${latin(1)} ${number(random)}`;
  return latin(between(random, 1, 3));
}

const grey = (random, low, high) => several(random, 3, (next) => between(next, low, high));
const hex = (colour) => `#${colour.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
const escaped = (text) => text.replace(/[<&>]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** Dark on light or light on dark, of any font, a little blurred and noisy. */
async function draw(random, text) {
  const isDark = random() < 0.7;
  const paper = isDark ? grey(random, 190, 255) : grey(random, 0, 70);
  const ink = isDark ? grey(random, 0, 90) : grey(random, 180, 255);
  const font = `${pick(random, FONTS)}${pick(random, STYLES)} 32`;
  const written = await sharp({
    text: { text: `<span foreground="${hex(ink)}">${escaped(text)}</span>`, font, rgba: true, dpi: 96 },
  })
    .png()
    .toBuffer({ resolveWithObject: true });
  const tall = between(random, 28, 40);
  const margin = between(random, 2, 8);
  const wide = Math.min(WIDTH - 2 * margin, Math.max(4, Math.round((written.info.width * tall) / written.info.height)));
  const letters = await sharp(written.data).resize(wide, tall, { fit: 'fill' }).png().toBuffer();
  const [red, green, blue] = paper;
  const line = await sharp({
    create: { width: wide + 2 * margin, height: HEIGHT, channels: 3, background: { r: red, g: green, b: blue } },
  })
    .composite([{ input: letters, left: margin, top: Math.floor((HEIGHT - tall) / 2) }])
    .png()
    .toBuffer();
  const blurred =
    random() < 0.4
      ? await sharp(line)
          .blur(0.4 + random())
          .png()
          .toBuffer()
      : line;
  return sharp(blurred).removeAlpha().raw().toBuffer({ resolveWithObject: true });
}

/** Noise, the channels in the order of blue, green, red, and padding at the right, as PaddleOCR has them. */
function page(random, { data, info }) {
  const pixels = new Uint8Array(HEIGHT * WIDTH * 3).fill(PADDING);
  const noise = random() < 0.5 ? 0 : 16 * random();
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < info.width; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const value = data[(y * info.width + x) * 3 + 2 - channel] + noise * (2 * random() - 1);
        pixels[(y * WIDTH + x) * 3 + channel] = Math.min(255, Math.max(0, Math.round(value)));
      }
    }
  }
  return pixels;
}

/**
 * @param seed lines of two seeds have nothing but the words in common
 * @returns pixels u8 [48, 320, 3] of each line, and what it says
 */
export async function textLines(count, seed, { han }) {
  const random = generator(seed);
  const lines = [];
  for (let i = 0; i < count; i++) {
    const text = wording(random, han);
    lines.push({ text, pixels: page(random, await draw(random, text)) });
  }
  return lines;
}
