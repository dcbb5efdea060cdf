import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CAUSES } from '../../src/model/cause.ts';
import { BUILTINS } from '../../src/policy/builtins/registry.ts';
import { compile } from '../../src/policy/compile.ts';
import { findOpa } from '../../src/policy/opa.ts';
import { loadBundle } from '../../src/policy/set.ts';
import { httpRefusal } from '../../src/protocols/http/refusal.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { pageText } from './support.ts';

/** Lists that stand in pages written by hand, held against the code. */

const namesIn = (text: string): readonly string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '');
const part = (name: string): readonly string[] =>
	namesIn(new RegExp(`<!-- ${name} -->([\\s\\S]*?)<!-- /${name} -->`).exec(pageText('docs/policy.md'))?.[1] ?? '');

test('docs/policy.md names every built-in function that is supplied', () => {
	assert.deepEqual(part('supplied'), [...BUILTINS.keys()].toSorted());
});

interface Capabilities {
	readonly builtins: readonly {
		readonly name: string;
		readonly decl: { readonly args?: readonly unknown[] };
		readonly infix?: string;
		readonly deprecated?: boolean;
	}[];
}

test('docs/policy.md names every built-in function of the pinned opa that refuses a bundle', async t => {
	const opa = await findOpa(undefined, process.env);
	const { stdout } = await opa.run(['capabilities', '--current']);
	const { builtins } = JSON.parse(stdout) as Capabilities;
	// What the compiler replaces, or what has a form of its own, cannot be called like this, and is in WebAssembly anyway.
	const called = builtins.filter(
		({ name, infix, deprecated }) =>
			infix === undefined &&
			deprecated !== true &&
			!/^(internal\.|rego\.metadata|cast_|print$|walk$|assign$|eq$)/.test(name),
	);
	const rules = called
		.filter(({ name }) => !['all', 'any', 're_match', 'set_diff', 'net.cidr_overlap'].includes(name))
		.map(({ name, decl }) => {
			const operands = (decl.args ?? []).map((_, index) => `input.http.body.a${index}`).join(', ');
			return `deny contains "${name}" if {\n\tvalue := ${name}(${operands})\n\tvalue != 5\n}\n`;
		});
	const workspace = makeWorkspace(t);
	workspace.write('policy/all.rego', `package sallyport.request\n\n${rules.join('\n')}`);
	const bundle = await compile(opa, [workspace.path('policy')]);
	await assert.rejects(
		loadBundle('all', bundle, 'all', { memory: 64 * 1024 ** 2, builtins: BUILTINS }),
		(error: Error) => {
			assert.deepEqual(error.message.split(': ').at(-1)?.split(', '), part('refused'));
			return true;
		},
	);
});

test('docs/http.md gives every cause the status that agents see', () => {
	const page = pageText('docs/http.md');
	const rows = new Map(
		[...page.matchAll(/^\| (\d{3}) \| (.+) \|$/gm)].map(([, status, causes = '']) => [Number(status), namesIn(causes)]),
	);
	// How a permitted call that had no answer yet may end, beside the refusals.
	const outcomes = ['completed', 'agent_aborted', 'session_expired', 'policy_changed', 'unknown'];
	for (const cause of CAUSES) {
		if (outcomes.includes(cause)) continue;
		const { status } = httpRefusal(cause, undefined, [], undefined, false);
		assert.ok(rows.get(status)?.includes(cause), `${cause}: ${status}`);
	}
	assert.equal(httpRefusal('identity_missing', undefined, [], undefined, 'proxy').status, 407);
	assert.equal(httpRefusal('identity_missing', undefined, [], undefined, 'origin').status, 401);
	assert.deepEqual(rows.get(407), ['identity_missing']);
	assert.deepEqual(rows.get(401), ['identity_missing']);
});

test('docs/operations.md names metrics that there are', () => {
	const { registry } = createMetrics('0');
	const known = new Set(registry.getMetricsAsArray().map(({ name }) => name));
	registry.clear();
	const named = namesIn(pageText('docs/operations.md'))
		.map(name => name.replace(/\{.*/, ''))
		.filter(name => name.startsWith('sallyport_'));
	assert.ok(named.length >= 8);
	assert.deepEqual(
		named.filter(name => !known.has(name)),
		[],
	);
});
