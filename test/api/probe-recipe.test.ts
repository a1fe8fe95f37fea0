import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { probeRecipe } from '../../src/api/probe-recipe.js';
import { importAndChooseRecipe } from '../../src/api/recipe.js';
import type { Graph } from '../../src/graph/types.js';
import { listImages } from '../../src/images/datasets/index.js';
import { decodeImage } from '../../src/images/decode.js';

const scenes = fileURLToPath(new URL('../../fixtures/scenes/', import.meta.url));
const folder = mkdtempSync(path.join(os.tmpdir(), 'ivit-probe-'));
afterAll(() => rmSync(folder, { recursive: true }));
/** The model alone: without the files that say how it wants its images. */
const model = path.join(folder, 'model.onnx');
copyFileSync(path.join(scenes, 'scenes_vit.onnx'), model);

async function choose(request: Partial<Parameters<typeof importAndChooseRecipe>[1]>) {
  const notices: string[] = [];
  const chosen = await importAndChooseRecipe(model, { threads: 1, ...request }, (text) => notices.push(text));
  return { ...chosen, notices: notices.join('\n') };
}

/** The graph as if it had been trained with another normalization: the first layer undoes the difference. */
function trainedWith(graph: Graph, mean: number, std: number): Graph {
  const own = { mean: [0.42, 0.41, 0.4], std: [0.21, 0.2, 0.19] };
  const nodes = graph.nodes.map((node) => {
    if (node.op !== 'patchEmbed') return node;
    const perOutput = node.weight.length / node.bias.length;
    const bias = node.bias.slice();
    const weight = node.weight.map((w, i) => {
      bias[Math.floor(i / perOutput)]! += (w * (mean - own.mean[i % 3]!)) / own.std[i % 3]!;
      return (w * std) / own.std[i % 3]!;
    });
    return { ...node, weight, bias };
  });
  return { ...graph, nodes };
}

describe('probeRecipe', () => {
  it.each([
    ['inception', 0.5, 0.5],
    ['raw', 0, 1],
  ])('finds %s', async (preset, mean, std) => {
    const { imported, recipe } = await choose({});
    const files = await listImages(path.join(scenes, 'calibration'));
    const images = await Promise.all(files.filter((_, i) => i % 8 === 0).map((file) => decodeImage(file)));
    const graph = trainedWith(imported.graph, mean, std);
    const { probe } = await probeRecipe({ graph, images, recipe, tryResize: true, threads: 1 });
    expect(probe).toMatchObject({ chosen: preset, sure: true });
  });

  it('warns of a model that always says the same', async () => {
    const { imported, recipe } = await choose({});
    const files = (await listImages(path.join(scenes, 'calibration'))).slice(0, 8);
    const images = await Promise.all(files.map((file) => decodeImage(file)));
    const nodes = imported.graph.nodes.map((node) =>
      node.op === 'patchEmbed' ? { ...node, weight: node.weight.map(() => 0) } : node,
    );
    const graph = { ...imported.graph, nodes };
    const { probe, notices } = await probeRecipe({ graph, images, recipe, tryResize: false, threads: 1 });
    expect(probe.sure).toBe(false);
    expect(notices.join()).toMatch(/WARNING: with none of these recipes/);
  });
});

describe('a model of which nothing says the normalization', () => {
  it('gets the usual recipe that its float model is surest with, and the notice says so', async () => {
    const { recipe, probe, notices } = await choose({ images: path.join(scenes, 'calibration') });
    expect(probe!.chosen).toBe('imagenet');
    expect(recipe.mean).toEqual([0.485, 0.456, 0.406]);
    expect(probe!.trials.map(({ preset }) => preset)).toEqual(expect.arrayContaining(['imagenet', 'clip', 'raw']));
    expect(notices).toMatch(
      /imagenet \(mean 0\.485 0\.456 0\.406.*was chosen: the float model is on average \d+ % sure/,
    );
  });

  it('is warned of where there are no images to tell by', async () => {
    const { recipe, probe, notices } = await choose({});
    expect(probe).toBeNull();
    expect(recipe.mean).toEqual([0.485, 0.456, 0.406]);
    expect(notices).toMatch(/WARNING: the normalization is a guess, as there are no --images/);
  });

  it('is left alone where a flag says it', async () => {
    const { recipe, probe, notices } = await choose({
      images: path.join(scenes, 'calibration'),
      preprocess: { preset: 'clip' },
    });
    expect(probe).toBeNull();
    expect(recipe.mean[0]).toBe(0.48145466);
    expect(notices).not.toMatch(/WARNING/);
  });
});
