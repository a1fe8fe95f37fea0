import { worstLayers } from '../quantize/report.js';
import type { Advice, ReportData } from './types.js';

type Facts = Pick<ReportData, 'layers' | 'analysis' | 'settings' | 'calibration'>;

/** Below this share of the whole error more bits for one layer are not worth a word. */
const WORTH = 0.05;
/** Decisions that agree less often are told apart by users. */
const GOOD_AGREEMENT = 0.98;
/** SQNR of the outputs that is good where there are no classes. */
const GOOD_DB = 25;
/** A share of clipped outputs that is no chance. */
const MUCH_CLIPPED = 0.001;

/** What to do about a model's errors, the most useful first. */
export function adviseOn(facts: Facts): Advice[] {
  const { fidelity } = facts.analysis;
  const isGood =
    fidelity.top1Agreement === null ? fidelity.sqnrDb >= GOOD_DB : fidelity.top1Agreement >= GOOD_AGREEMENT;
  const found = [...calibrationAdvice(facts), ...weightAdvice(facts), ...clippingAdvice(facts), ...layerAdvice(facts)];
  if (!isGood && facts.settings['kernels'] === 'shift')
    found.push({
      kind: 'gain',
      text: 'Softmax and activations can be computed more exactly.',
      option: '--kernels lut',
    });
  if (!isGood && facts.settings['scales'] === 'static')
    found.push({
      kind: 'gain',
      text: 'Scales of each row cost some speed, and nothing clips.',
      option: '--scales dynamic',
    });
  if (!isGood) return found;
  return [
    { kind: 'good', text: 'The integer model decides as the float model does: it can be shipped.', option: null },
    ...found,
  ];
}

function calibrationAdvice({ calibration, analysis }: Facts): Advice[] {
  if (calibration.source === 'synthetic')
    return [
      { kind: 'warning', text: 'It was calibrated on made-up images: photographs are better.', option: '--images DIR' },
    ];
  if (analysis.fidelity.images < 100 && analysis.fidelity.interval !== null)
    return [
      {
        kind: 'warning',
        text: `${analysis.fidelity.images} images tell little: see the interval. Measure more with ivit eval --float.`,
        option: null,
      },
    ];
  return [];
}

function weightAdvice({ settings }: Facts): Advice[] {
  const bits = settings['weightBits'];
  if (bits === undefined || bits === '8') return [];
  return [{ kind: 'gain', text: `Weights have ${bits} bits: 8 are nearer to float.`, option: '--weight-bits 8' }];
}

function clippingAdvice({ layers }: Facts): Advice[] {
  const clipping = layers.filter(({ clipped, rows }) => clipped > MUCH_CLIPPED && rows > 1);
  if (clipping.length === 0) return [];
  const worst = clipping.reduce((a, b) => (b.clipped > a.clipped ? b : a));
  const text = `${worst.name} clips ${(100 * worst.clipped).toFixed(2)} % of its outputs: more images widen its range.`;
  return [{ kind: 'gain', text, option: '--num-images 512' }];
}

/** An error adds to those of others, and may be more than all together, some of which cancel out. */
const shareText = (share: number): string => `${(100 * Math.min(1, share)).toFixed(share < 0.1 ? 1 : 0)} %`;

/** The layer whose 8-bit input makes most of the error that is left; where that was not measured, the worst layer. */
function layerAdvice({ layers, analysis }: Facts): Advice[] {
  // The first layer reads the pixels, which have 8 bits.
  const candidates = layers.slice(1).filter(({ inputBits }) => inputBits === 8);
  const measured = candidates.filter(({ input }) => input.sensitivity !== null);
  const total = 10 ** (-analysis.fidelity.sqnrDb / 10);
  if (measured.length > 0) {
    const most = measured.reduce((a, b) => (b.input.sensitivity! > a.input.sensitivity! ? b : a));
    const share = most.input.sensitivity! / total;
    const [worst] = worstLayers(layers, 1);
    const ofWorst = worst.input.sensitivity;
    const aboutWorst: Advice = {
      kind: 'good',
      text:
        `${worst.name} has the least SQNR, ${worst.sqnrDb.toFixed(1)} dB, as errors add up on the way to it` +
        (ofWorst === null
          ? '.'
          : `; ${worst.inputBits === 8 ? 'its own 8-bit input makes' : '8 bits of its input would make'} ` +
            `${shareText(ofWorst / total)} of the error of the outputs.`),
      option: null,
    };
    if (share < WORTH)
      return [
        aboutWorst,
        {
          kind: 'good',
          text: `No single layer's 8-bit input makes more than ${shareText(share)} of the error that is left.`,
          option: null,
        },
      ];
    return [
      ...(worst === most ? [] : [aboutWorst]),
      {
        kind: 'gain',
        text:
          `${most.name}: its 8-bit input alone makes about ${shareText(share)} of the error ` +
          'that is left. 16 bits take it away, and cost that layer twice the multiplications.',
        option: `--layer-bits '${most.name}=16'`,
      },
    ];
  }
  const [worst] = worstLayers(candidates, 1);
  if (worst === undefined) return [];
  return [
    {
      kind: 'gain',
      text:
        `${worst.name} has the least SQNR of the layers with 8-bit inputs (${worst.sqnrDb.toFixed(1)} dB). Whether ` +
        'that matters is measured while a model is quantized: ivit quantize … --report.',
      option: `--layer-bits '${worst.name}=16'`,
    },
  ];
}
