import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { compileModule } from '../../src/policy/module.ts';
import { PolicyError } from '../../src/policy/problem.ts';
import { requestPolicy } from './support.ts';
import { moduleOf } from './support-module.ts';

/** Policies that a compiler of Rego writes, larger than most. */

/** Whether V8 has yet to compile it, as its own tests ask. */
function uncompiled(): (exported: unknown) => boolean {
	setFlagsFromString('--allow-natives-syntax');
	try {
		return new Function('exported', 'return %IsUncompiledWasmFunction(exported)') as (exported: unknown) => boolean;
	} finally {
		setFlagsFromString('--no-allow-natives-syntax');
	}
}

test('all of a module is compiled when it is loaded, so that no call waits for it', () => {
	const waits = uncompiled();
	const env = { memory: new WebAssembly.Memory({ initial: 8 }), opa_abort: () => undefined };
	const evaluate = (make: (wasm: Buffer<ArrayBuffer>) => WebAssembly.Module, answer: number): unknown =>
		new WebAssembly.Instance(make(Buffer.from(moduleOf({ evaluate: [0x41, answer] }))), { env }).exports['opa_eval'];
	// Other bytes: V8 keeps what it compiled.
	assert.equal(waits(evaluate(wasm => new WebAssembly.Module(wasm), 1)), true, 'as it is elsewhere');
	assert.equal(waits(evaluate(compileModule, 2)), false);
});

test('a policy that chooses among thousands of packages by name is loaded', { timeout: 120_000 }, async t => {
	const packages = Array.from(
		{ length: 1500 },
		(_, number) => [`p${number}.rego`, `package chosen.n${number}\n\nok if input.http.path == "/${number}"\n`] as const,
	);
	const policy = await requestPolicy(t, 'allow if data.chosen[input.target.name].ok', Object.fromEntries(packages));
	const judged = (name: string): string =>
		policy.evaluate('request', JSON.stringify({ target: { name }, http: { path: '/1499' } })).verdict;
	assert.deepEqual([judged('n1499'), judged('n1498')], ['allow', 'deny']);
});

test('a rule that lists thousands of objects is refused, with what to do', { timeout: 120_000 }, async t => {
	const listed = Array.from({ length: 3000 }, (_, number) => `"/a${number}": {"targets": ["crm", "db${number}"]}`);
	await assert.rejects(
		requestPolicy(
			t,
			`_grants := {${listed.join(', ')}}\n\nallow if input.target.name in _grants[input.agent.path].targets`,
		),
		(error: Error) => error instanceof PolicyError && /belongs in data\.json/.test(error.message),
	);
});
