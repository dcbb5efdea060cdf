import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Engine, openEngine } from '../../src/policy/engine.ts';
import { FUEL, meter } from '../../src/policy/meter/meter.ts';
import { leb, Unmetered } from '../../src/policy/meter/reader.ts';
import { readStatement } from '../../src/policy/verdict.ts';
import { MEMORY } from './support.ts';
import {
	ALLOWED,
	constant,
	FIRST,
	forever,
	I64,
	type Module,
	moduleOf,
	NOTHING_TO_NOTHING,
	notAgain,
	repeated,
	section,
} from './support-module.ts';

/** Modules that a compiler of Rego does not write, and a stranger could. */

const opened = async (wasm: Buffer, fuel = 1_000_000): Promise<Engine> =>
	openEngine(await WebAssembly.compile(meter(wasm)), Buffer.from('{}'), { memory: MEMORY, builtins: new Map(), fuel });

const refused = (module: Module, expected: RegExp): void =>
	assert.throws(
		() => meter(moduleOf(module)),
		(error: Error) => error instanceof Unmetered && expected.test(error.message),
	);

test('locals are paid for at each call, whether or not they are used', { timeout: 60_000 }, async () => {
	const callees = Array.from({ length: 20 }, () => ({
		type: NOTHING_TO_NOTHING,
		locals: [1, ...leb(4000), I64],
		code: [],
	}));
	const calls = callees.flatMap((_, index) => [0x10, ...leb(FIRST + index)]);
	const module = await WebAssembly.compile(
		meter(moduleOf({ evaluate: [...calls, ...constant(ALLOWED)], functions: callees })),
	);
	const env = { memory: new WebAssembly.Memory({ initial: 8 }), opa_abort: () => undefined };
	const exports = new WebAssembly.Instance(module, { env }).exports as Readonly<Record<string, unknown>>;
	const counter = exports[FUEL] as WebAssembly.Global;
	counter.value = 1_000_000;
	(exports['opa_eval'] as () => number)();
	const spent = 1_000_000 - Number(counter.value);
	assert.ok(spent > (20 * 4000) / 300 && spent < (20 * 4000) / 200, `${spent} steps`);

	const away = await opened(moduleOf({ evaluate: forever(calls), functions: callees }));
	const stopped = away.evaluate(0, '{}');
	assert.ok('error' in stopped && stopped.exhausted);
});

test('what takes long to compile is refused', () => {
	const made = (locals: number, code: readonly number[]): Module => ({
		evaluate: constant(ALLOWED),
		functions: [{ type: NOTHING_TO_NOTHING, locals: [1, ...leb(locals), I64], code }],
	});
	const conditions = repeated(20_000, [...constant(0), 0x04, 0x40, 0x0b]);
	assert.ok(meter(moduleOf(made(1000, conditions))).length > 0);
	refused(made(5000, conditions), /too large/);
	const branches = [0x02, 0x40, ...repeated(20_000, [...constant(0), 0x0d, 0x00]), 0x0b];
	refused(made(5000, branches), /too large/);
	refused(made(50_001, []), /too large/);
});

test('a policy that cannot be started again after a failure refuses, and throws nothing', async () => {
	const engine = await opened(notAgain());
	const first = engine.evaluate(0, '{}');
	assert.ok('error' in first && /unreachable/.test(first.error));
	for (let again = 0; again < 3; again++)
		assert.deepEqual(engine.evaluate(0, '{}'), {
			error: 'the policy could not be started again after it failed',
		});
});

test('what runs at each start has little to spend', { timeout: 60_000 }, async () => {
	// As many turns as a start may take steps, and more; the policy itself allows.
	const turns = (count: number) =>
		moduleOf({
			evaluate: constant(ALLOWED),
			start: FIRST,
			functions: [
				{
					type: NOTHING_TO_NOTHING,
					locals: [1, 1, 0x7f],
					code: [...constant(count), 0x21, 0, 0x03, 0x40, 0x20, 0, ...constant(1), 0x6b, 0x22, 0, 0x0d, 0, 0x0b],
				},
			],
		});
	assert.ok('raw' in (await opened(turns(50_000))).evaluate(0, '{}'));
	await assert.rejects(opened(turns(200_000)), /the module cannot be loaded/);
});

test('what a module answers is paid for, and what it says when it gives up is cut', { timeout: 60_000 }, async () => {
	const from = 200_000;
	// Grows to the limit and fills all of it with spaces, eight at a time.
	const filled = (to: number): number[] => [
		...[...constant(990), 0x40, 0, 0x1a, ...constant(from), 0x21, 7, 0x03, 0x40, 0x20, 7],
		...[0x42, 0xa0, 0xc0, 0x80, 0x81, 0x82, 0x84, 0x88, 0x90, 0x20, 0x37, 0, 0],
		...[0x20, 7, ...constant(8), 0x6a, 0x22, 7, ...constant(to), 0x49, 0x0d, 0, 0x0b],
	];
	const long = await opened(moduleOf({ local: true, evaluate: [...filled(60_000_000), ...constant(from)] }), 8_000_000);
	const answer = long.evaluate(0, '{}');
	assert.ok('error' in answer && answer.exhausted);
	const short = await opened(moduleOf({ local: true, evaluate: [...filled(300_000), ...constant(from)] }));
	const spaces = short.evaluate(0, '{}');
	assert.ok('raw' in spaces && spaces.raw.length >= 100_000);
	const abort = [...constant(from), 0x10, 0, ...constant(ALLOWED)];
	const aborts = await opened(moduleOf({ local: true, evaluate: [...filled(2_000_000), ...abort] }));
	const said = aborts.evaluate(0, '{}');
	assert.ok('error' in said && said.error.length === 1024, JSON.stringify(said).slice(0, 200));
});

test('a module that takes long to be made, or moves many values at once, is refused', () => {
	const evaluate = constant(ALLOWED);
	const table = (count: number, kind = 0x70, limits = 0): number[] => section(4, [1, kind, limits, ...leb(count)]);
	assert.ok(meter(moduleOf({ evaluate, more: { 6: table(1000) }, exports: 100 })).length > 0);
	refused({ evaluate, more: { 6: table(10_000_000) } }, /too large/);
	refused({ evaluate, more: { 6: table(10, 0x6f) } }, /tables of a kind that is not known/);
	refused({ evaluate, more: { 6: table(10, 0x70, 2) } }, /tables of a kind that is not known/);
	refused({ evaluate, more: { 6: section(4, [2, 0x70, 0, 1, 0x70, 0, 1]) } }, /tables of a kind that is not known/);
	refused({ evaluate, exports: 10_000 }, /too large/);
	const elements = [0, ...constant(0), 0x0b, ...leb(1000), ...repeated(1000, [1])];
	refused({ evaluate, more: { 10: section(9, [...leb(300), ...repeated(300, elements)]) } }, /too large/);
	// Several results, and a block with the index of a type.
	refused({ evaluate, types: [[0x60, 0, 2, I64, I64]] }, /gives several values/);
	refused({ evaluate: [0x02, 0x05, 0x0b, ...evaluate] }, /a block of a type that is not known/);
});

test('coming to the host takes a step each time', { timeout: 60_000 }, async () => {
	// `opa_abort` is what ends it; with a step for each, few come that far.
	const env = { memory: new WebAssembly.Memory({ initial: 8 }), opa_abort: () => undefined };
	const module = await WebAssembly.compile(
		meter(moduleOf({ evaluate: [...repeated(100, [...constant(0), 0x10, 0]), ...constant(ALLOWED)] })),
	);
	const exports = new WebAssembly.Instance(module, { env }).exports as Readonly<Record<string, unknown>>;
	const counter = exports[FUEL] as WebAssembly.Global;
	counter.value = 1000;
	(exports['opa_eval'] as () => number)();
	assert.ok(Number(counter.value) <= 901, `${Number(counter.value)} left`);
});

test('a result that is nested deep is an error, and not the end', () => {
	const nested = (depth: number): string =>
		`[{"result":{"allow":[],"deny":[{"msg":"\\"[[[","detail":${'['.repeat(depth)}${']'.repeat(depth)}}],"ask":[]}}]`;
	const good = readStatement(nested(400), 'contract');
	assert.ok('deny' in good && good.deny[0]?.msg === '"[[[');
	for (const depth of [501, 5000, 100_000, 1_000_000])
		assert.deepEqual(readStatement(nested(depth), 'contract'), { error: 'the result is nested more than 500 deep' });
	const quoted = `[{"result":{"allow":[],"deny":["${'['.repeat(10_000)}"],"ask":[]}}]`;
	assert.ok('deny' in readStatement(quoted, 'contract'));
});
