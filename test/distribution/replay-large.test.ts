import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { SALLYPORT } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';

const COUNT = 60_000;

/** A line as Sallyport writes it, of some 3 KiB. */
const line = (seq: number): string => {
	const id = `019cb3a0-7c7e-7000-8000-${String(seq).padStart(12, '0')}`;
	const head = `{"type":"decision","chain":"5f07963e-85f5-4b9d-b383-e2d632f99653","seq":${seq},"prev":"${'0'.repeat(64)}"`;
	const when = '"timestamp":"2026-03-03T10:00:00.123Z","instance":"pod/example.org"';
	const body = {
		call: {
			agent: 'spiffe://example.org/agents/a',
			authentication: 'mtls',
			listener: 'egress',
			target: { name: 'tool', host: 'tool.internal', port: 443 },
			protocol: 'http',
			operation: 'GET',
			resource: `/${seq}`,
			effect: 'read',
			method: 'GET',
			path: `/${seq}`,
		},
		input: { http: { path: `/${seq}`, headers: { cookie: 'x'.repeat(2_500) } } },
		result: { allow: true },
		bundles: { default: { revision: 'one' } },
		reads: ['http.headers', 'http.path'],
	};
	return `${head},${when},"decision_id":"${id}","verdict":"allow","path":"sallyport/request",${JSON.stringify(body).slice(1)}\n`;
};

test('a replay holds no record: many times the memory that it has go through it', { timeout: 120_000 }, async t => {
	const workspace = makeWorkspace(t);
	workspace.write('var/audit/salt', '');
	const file = openSync(workspace.path('var/audit/0000000000000001.jsonl'), 'w');
	let bytes = 0;
	for (let seq = 1; seq <= COUNT; seq += 100)
		bytes += writeSync(file, Array.from({ length: 100 }, (_, index) => line(seq + index)).join(''));
	closeSync(file);
	workspace.write('new/request.rego', 'package sallyport.request\n\nallow if endswith(input.http.path, "7")\n');
	const child = spawn(SALLYPORT, ['policy', 'replay', '--bundle', 'new', '--json'], {
		cwd: workspace.directory,
		env: { ...process.env, NODE_OPTIONS: '--max-old-space-size=48' },
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	let out = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => {
		out += text;
	});
	const begun = performance.now();
	const [code] = (await once(child, 'close')) as [number];
	assert.equal(code, 1, out);
	t.diagnostic(
		`${COUNT} records of ${Math.round(bytes / 1024 ** 2)} MiB in ${Math.round(performance.now() - begun)} ms`,
	);
	const { decisions, changed, changes } = JSON.parse(out) as {
		decisions: number;
		changed: number;
		changes: readonly { readonly count: number }[];
	};
	assert.deepEqual([decisions, changed, changes.length, changes[0]?.count], [COUNT, COUNT * 0.9, 1, COUNT * 0.9]);
});
