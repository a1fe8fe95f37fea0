/** What was made of the float model, what the quantizer decided for each layer, and why: `quantize --verbose`. */
import type { QuantizeSummary } from '../api/summary.js';
import type { LayerReport } from '../quantize/index.js';
import { fold, rangeText } from './fold.js';
import { table } from './table.js';

export function recognizedText({ family, operators, kinds }: QuantizeSummary['recognized']): string {
  const counts = Object.entries(kinds).map(([kind, count]) => `${count} ${kind}`);
  return `Recognized in ${operators} ONNX nodes (${family}): ${counts.join(', ')}`;
}

export function decisionTable(layers: readonly LayerReport[]): string {
  const right = (title: string) => ({ title, align: 'right' as const });
  const told = layers.map((layer) => ({ ...layer, why: reasonOf(layer) }));
  const tenths = (value: number): number => Number(value.toFixed(1));
  return table(
    [{ title: 'layer' }, right('input bits'), right('weight bits'), right('SQNR dB'), { title: 'why' }],
    fold(told, ({ inputBits, weightBits, why }) => JSON.stringify([inputBits, weightBits, why])).map(
      ({ name, members }) => [
        name,
        String(members[0]!.inputBits),
        String(members[0]!.weightBits),
        rangeText(members.map(({ sqnrDb }) => (Number.isFinite(sqnrDb) ? tenths(sqnrDb) : null))),
        members[0]!.why,
      ],
    ),
  );
}

function reasonOf({ inputBits, weightBits, input, weightSensitivity, ridge }: LayerReport): string {
  const reasons: string[] = [];
  if (inputBits > 8)
    reasons.push(
      input.sensitivity === null ? '16-bit input asked for, or of few rows' : 'logits are sensitive to its input',
    );
  if (weightBits > 8 && weightSensitivity !== null) reasons.push('logits are sensitive to its weights');
  reasons.push(ridge === null ? 'float weights kept' : 'weights corrected');
  return reasons.join('; ');
}
