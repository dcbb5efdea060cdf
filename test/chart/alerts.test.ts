import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { pageText } from '../docs/support.ts';
import { find, PLACEMENTS, rendered, toolFor } from '../support/chart.ts';
import { ALERTS, RULES } from './firing.ts';

const PAGE = 'docs/operations.md';
const NAMES = RULES.map(({ alert }) => alert);

/** Of a page, the sections of the alerts: a heading and the text below it. */
const sections = (): ReadonlyMap<string, string> =>
	new Map(
		pageText(PAGE)
			.split(/^(?=##+ )/m)
			.flatMap(part => {
				const name = /^### (Sallyport\w+)\n/.exec(part)?.[1];
				return name === undefined ? [] : [[name, part] as const];
			}),
	);

test('every alert says what happened, what to do, and where more of it is written', () => {
	for (const { alert, annotations, labels } of RULES) {
		assert.ok(annotations.summary.length > 20 && annotations.remedy.length > 20, alert);
		assert.match(labels.severity, /^(critical|warning|info)$/, alert);
		assert.ok(annotations.runbook_url.endsWith(`/${PAGE}#${alert.toLowerCase()}`), alert);
	}
});

test('every alert has a section of the operations page, in the same order, and each says five things', () => {
	assert.deepEqual([...sections().keys()], NAMES);
	for (const [name, text] of sections())
		for (const part of ['Means', 'Causes', 'Look', 'Do', 'Clears'])
			assert.ok(text.includes(`\n**${part}.** `), `${name}: ${part}`);
});

test('every alert has a test in which it fires', () => {
	const folder = new URL('.', import.meta.url);
	const tests = readdirSync(folder)
		.filter(file => file.endsWith('.test.ts'))
		.map(file => readFileSync(new URL(file, folder), 'utf8'))
		.join();
	const fired = [...tests.matchAll(/assertFires\([^[]*\[([^\]]*)\]/g)].flatMap(([, names = '']) =>
		[...names.matchAll(/'(\w+)'/g)].map(([, name = '']) => name),
	);
	assert.deepEqual([...new Set(fired)].sort(), [...NAMES].sort());
});

test('promtool takes the rules', t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const { status, stdout, stderr } = spawnSync(promtool, ['check', 'rules', ALERTS], { encoding: 'utf8' });
	assert.equal(status, 0, stdout + stderr);
});

test('the chart ships these rules, and leads to another page where one is named', t => {
	const helm = toolFor(t, 'helm');
	if (helm === undefined) return;
	const values = PLACEMENTS['gateway with everything'] ?? {};
	assert.deepEqual(find(rendered(helm, values), 'PrometheusRule')['spec'], parse(readFileSync(ALERTS, 'utf8')));
	const elsewhere = find(
		rendered(helm, { ...values, metrics: { rules: true, runbooks: 'https://wiki.internal/sallyport' } }),
		'PrometheusRule',
	);
	const { groups } = elsewhere['spec'] as { groups: { rules: typeof RULES }[] };
	assert.deepEqual(
		groups.flatMap(({ rules }) => rules.map(({ annotations }) => annotations.runbook_url)),
		NAMES.map(name => `https://wiki.internal/sallyport#${name.toLowerCase()}`),
	);
});
