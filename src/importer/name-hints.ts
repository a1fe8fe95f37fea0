import { ANONYMOUS, type NameHints } from '../graph/name-hints.js';
import type { OnnxNode } from '../onnx/index.js';
import { isConstant, type Expr } from './expr.js';

const PARAMETER = /[._](weight|bias|gamma|beta|kernel|scale|lambda1|lambda2|in_proj_weight|in_proj_bias|w|b)$/;

function moduleOf(weight: string): string {
  const stem = weight.replace(PARAMETER, '').replace(/^(module|model|base_model|net)\./, '');
  // Exporters that allow no dots write blocks_0_attn_qkv.
  return stem.replace(/_(\d+)_/g, '.$1.').replace(/\.(attn|mlp|norm\d?|ls\d)_/, '.$1.');
}

export function nameHints(expr: Expr, constants: readonly Expr[]): NameHints {
  const weights = constants
    .filter(isConstant)
    .map((constant) => constant.value.name)
    .filter((name) => !ANONYMOUS.test(name) && !name.startsWith('/'))
    .map(moduleOf);
  const path = expr.origin ? modulePath(expr.origin) : '';
  return { weights, paths: path ? [path] : [] };
}

/** The module that an ONNX node stems from, as the exporter noted it; '' where it did not. */
export function modulePath(node: OnnxNode): string {
  const scopes = node.metadata.get('pkg.torch.onnx.name_scopes');
  if (scopes) {
    // A Python list: ['', 'blocks.0', 'blocks.0.attn', 'blocks.0.attn.qkv', 'linear']
    const modules = [...scopes.matchAll(/'([^']*)'/g)].map((match) => match[1]);
    return (modules.at(-2) ?? '').replace(/^(model|module)\./, '');
  }
  if (!node.name.startsWith('/')) return '';
  const parts = node.name.split('/').slice(1, -1);
  // torch repeats a container's name in its children: /blocks/blocks.0/attn
  const kept = parts.filter((part, i) => !parts[i + 1]?.startsWith(`${part}.`));
  return kept.join('.').replace(/^(model|module)\./, '');
}
