import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FUEL, meter } from '../../src/policy/meter/meter.ts';
import { leb, Unmetered } from '../../src/policy/meter/reader.ts';
import { loaded } from './support.ts';

const section = (id: number, ...parts: readonly (readonly number[])[]): number[] => {
	const body = parts.flat();
	return [id, ...leb(body.length), ...body];
};

/** A module with one exported function `run` from i32 to i32, with this code. */
const moduleOf = (code: readonly number[], more: readonly (readonly number[])[] = []): Buffer => {
	const body = [0x00, ...code, 0x0b];
	return Buffer.from([
		...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
		...section(1, [0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f]),
		...section(3, [0x01, 0x00]),
		...more.flat(),
		...section(7, [0x01, 0x03, ...Buffer.from('run'), 0x00, 0x00]),
		...section(10, [0x01, ...leb(body.length), ...body]),
	]);
};

interface Run {
	readonly run: (value: number) => number;
	readonly [FUEL]: WebAssembly.Global;
}

async function open(code: readonly number[]): Promise<Run> {
	const instance = new WebAssembly.Instance(await WebAssembly.compile(meter(moduleOf(code))), {});
	return instance.exports as unknown as Run;
}

/** `loop local.get 0; i32.const -1; i32.add; local.tee 0; br_if 0 end; i32.const 7`: as many turns as its operand. */
const COUNTING = [0x03, 0x40, 0x20, 0, 0x41, 0x7f, 0x6a, 0x22, 0, 0x0d, 0, 0x0b, 0x41, 0x07];
/** `loop br 0 end; i32.const 0` */
const FOREVER = [0x03, 0x40, 0x0c, 0x00, 0x0b, 0x41, 0x00];
/** `local.get 0; call 0` */
const RECURSION = [0x20, 0x00, 0x10, 0x00];

test('loops and calls are counted, and end when there is nothing left', { timeout: 20_000 }, async () => {
	const counting = await open(COUNTING);
	counting[FUEL].value = 1000;
	assert.equal(counting.run(10), 7);
	assert.equal(counting[FUEL].value, 990, 'one step a turn');
	counting[FUEL].value = 10;
	assert.equal(counting.run(10), 7, 'exactly enough');
	counting[FUEL].value = 9;
	assert.throws(() => counting.run(10), WebAssembly.RuntimeError);
	assert.equal(counting[FUEL].value, -1);

	for (const code of [FOREVER, RECURSION]) {
		const away = await open(code);
		away[FUEL].value = 5000;
		assert.throws(() => away.run(1), WebAssembly.RuntimeError);
		assert.equal(away[FUEL].value, -1);
	}
});

test('what cannot be metered is refused', () => {
	const refused = (wasm: Buffer, expected: RegExp): void =>
		assert.throws(
			() => meter(wasm),
			(error: Error) => error instanceof Unmetered && expected.test(error.message),
		);
	// A vector, a reference, a tail call, an exception, a prefix beyond bulk memory, and what is no instruction.
	for (const code of [[0xfd, 0x0c], [0xd0, 0x70], [0x12, 0x00], [0x06, 0x40], [0xfc, 0x0c], [0xff]])
		refused(moduleOf(code), /an instruction that cannot be metered/);
	// What would set the counter itself.
	refused(moduleOf([0x41, 0x7f, 0x24, 0x00, 0x41, 0x00]), /a global that it does not have/);
	const name = Buffer.from(FUEL);
	const own = [section(6, [0x01, 0x7f, 0x01, 0x41, 0x00, 0x0b])];
	const wasm = moduleOf([0x41, 0x00], own).toString('latin1');
	const exported = section(7, [0x02, 0x03, ...Buffer.from('run'), 0x00, 0x00, name.length, ...name, 0x03, 0x00]);
	const before = Buffer.from(section(7, [0x01, 0x03, ...Buffer.from('run'), 0x00, 0x00])).toString('latin1');
	refused(
		Buffer.from(wasm.replace(before, Buffer.from(exported).toString('latin1')), 'latin1'),
		/an export .* of its own/,
	);
	refused(Buffer.from('hello, world'), /not a WebAssembly module/);
	const whole = moduleOf(COUNTING);
	for (let length = 9; length < whole.length; length++) {
		const cut = whole.subarray(0, length);
		try {
			// Cut between two sections it can be read, and is not one for the engine: that is judged when it is compiled.
			assert.ok(meter(cut).length > cut.length);
		} catch (error) {
			assert.ok(error instanceof Unmetered, `${length}: ${String(error)}`);
		}
	}
});

test('a policy that runs away is stopped, and judges the next call as ever', { timeout: 20_000 }, async t => {
	const runaway = await loaded(t, {
		'request.rego': `package sallyport.request

allow if {
	some a in numbers.range(1, input.n)
	some b in numbers.range(1, input.n)
	a * b == 1
	not input.away
}
`,
	});
	const judge = (input: unknown) => runaway.packages.get('request')?.evaluate(JSON.stringify(input));
	assert.deepEqual(judge({ n: 3 }), judge({ n: 3 }));
	for (let again = 0; again < 3; again++) {
		const begun = performance.now();
		const stopped = judge({ n: 5000, away: true });
		t.diagnostic(`stopped after ${(performance.now() - begun).toFixed(0)} ms`);
		assert.ok(stopped !== undefined && 'error' in stopped);
		assert.equal(stopped.exhausted, true);
		assert.match(stopped.error, /more than the 5000000 steps of policy\.fuel/);
		const next = judge({ n: 3 });
		assert.ok(next !== undefined && 'allow' in next);
		assert.equal(next.allow, true);
	}
});
