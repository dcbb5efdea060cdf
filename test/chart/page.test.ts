import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { blocksOf } from '../docs/support.ts';
import { CHART, rendered, toolFor, type Values } from '../support/chart.ts';
import { KubernetesSchema } from '../support/kubernetes-schema.ts';

const PAGE = 'docs/kubernetes.md';
const values = blocksOf(PAGE)
	.filter(({ language }) => language === 'yml')
	.map(({ place, text }) => ({ place, values: parse(text) as Values }))
	.filter(({ values: one }) => 'placement' in one);

test('the page has values for every placement', () => {
	const placements = new Set(values.map(({ values: one }) => one['placement']));
	assert.deepEqual([...placements].sort(), ['gateway', 'laptop', 'sidecar']);
});

for (const { place, values: one } of values) {
	test(`the values of ${place} render to objects of Kubernetes`, t => {
		const helm = toolFor(t, 'helm');
		if (helm === undefined) return;
		const schema = new KubernetesSchema();
		const known = Object.keys(parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as object);
		assert.deepEqual(
			Object.keys(one).filter(key => !known.includes(key)),
			[],
		);
		for (const manifest of rendered(helm, one)) assert.deepEqual(schema.problems(manifest), [], manifest.kind);
	});
}

test('the templates that the page includes are there', () => {
	const templates = readFileSync(join(CHART, 'templates/_pod.tpl'), 'utf8');
	const [block] = blocksOf(PAGE).filter(({ language }) => language === 'helm');
	const included = [...(block?.text ?? '').matchAll(/include "([\w.]+)"/g)].map(([, name = '']) => name);
	assert.equal(included.length, 3);
	for (const name of included) assert.ok(templates.includes(`define "${name}"`), name);
});
