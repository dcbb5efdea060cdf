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
const moduleOf = (
	code: readonly number[],
	more: readonly (readonly number[])[] = [],
	locals: readonly number[] = [0x00],
): Buffer => {
	const body = [...locals, ...code, 0x0b];
	return Buffer.from([
		...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
		...section(1, [0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f]),
		...section(3, [0x01, 0x00]),
		...more.flat(),
		...section(7, [0x01, 0x03, ...Buffer.from('run'), 0x00, 0x00]),
		...section(10, [0x01, ...leb(body.length)], body),
	]);
};

interface Run {
	readonly run: (value: number) => number;
	readonly [FUEL]: WebAssembly.Global;
}

const open = (code: readonly number[]): Promise<Run> => opened(moduleOf(code));

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

/** Functions from i32 to i32 with these bodies, of which the first is exported as `run`; with a memory of one page. */
const functionsOf = (codes: readonly (readonly number[])[]): Buffer =>
	Buffer.from([
		...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
		...section(1, [0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f]),
		...section(3, [...leb(codes.length)], new Array<number>(codes.length).fill(0)),
		...section(5, [0x01, 0x00, 0x01]),
		...section(7, [0x01, 0x03, ...Buffer.from('run'), 0x00, 0x00]),
		...section(
			10,
			[...leb(codes.length)],
			codes.flatMap(code => [...leb(code.length + 2), 0x00, ...code, 0x0b]),
		),
	]);

const opened = async (wasm: Buffer): Promise<Run> =>
	new WebAssembly.Instance(await WebAssembly.compile(meter(wasm)), {}).exports as unknown as Run;

const repeated = (count: number, code: readonly number[]): number[] => Array.from({ length: count }, () => code).flat();

test('instructions in a row are counted too, wherever the row is broken off', { timeout: 20_000 }, async () => {
	// `local.get 0; i32.const 1; i32.add; local.set 0`
	const row = [0x20, 0x00, 0x41, 0x01, 0x6a, 0x21, 0x00];
	const spent = async (code: readonly number[], operand = 0): Promise<number> => {
		const run = await opened(functionsOf([[...code, 0x20, 0x00]]));
		run[FUEL].value = 1_000_000;
		run.run(operand);
		return 1_000_000 - run[FUEL].value;
	};
	assert.equal(await spent(repeated(10, row)), 0);
	const long = await spent(repeated(25_600, row));
	assert.ok(long > 350 && long < 450, `${long} steps`);
	// Each row leaves its block shortly before its last step stands: what was not paid goes along.
	const broken = [0x02, 0x40, ...repeated(50, row), 0x20, 0x00, 0x0d, 0x00, ...repeated(60, row), 0x0b];
	const left = await spent(repeated(100, broken), 1);
	assert.ok(left > 60, `${left} steps`);
	const conditions = [0x41, 0x00, 0x04, 0x40, ...repeated(60, row), 0x05, ...repeated(50, row), 0x0b];
	const otherwise = await spent(repeated(100, conditions));
	assert.ok(otherwise > 60, `${otherwise} steps`);
});

test('calls are counted by what they come to, through however many functions', { timeout: 20_000 }, async () => {
	const call = (index: number): number[] => [0x20, 0x00, 0x10, ...leb(index), 0x1a];
	const chain = (length: number, calls: number): number[][] =>
		Array.from({ length }, (_, index) => [
			...(index === length - 1 ? [] : repeated(calls, call(index + 1))),
			0x20,
			0x00,
		]);
	const few = await opened(functionsOf(chain(3, 2)));
	few[FUEL].value = 0;
	assert.equal(few.run(5), 5, 'seven functions in all cost nothing');
	// `i32.const 0; i32.const 1; i32.store`, often, called often, and that often too; and twice, forty times.
	const stores = [...repeated(1000, [0x41, 0x00, 0x41, 0x01, 0x36, 0x02, 0x00]), 0x20, 0x00];
	for (const codes of [
		[[...repeated(1000, call(1)), 0x20, 0x00], [...repeated(1000, call(2)), 0x20, 0x00], stores],
		chain(40, 2),
		chain(400, 2),
	]) {
		const many = await opened(functionsOf(codes));
		many[FUEL].value = 100_000;
		assert.throws(() => many.run(5), WebAssembly.RuntimeError);
		assert.equal(many[FUEL].value, -1);
	}
});

test('what a callee has counted is not forgotten by a loop that goes on', { timeout: 20_000 }, async () => {
	// Function 0: as many turns as its operand, in each of them function 1 with 100, which takes as many turns.
	const turn = [0x41, 0xe4, 0x00, 0x10, 0x01, 0x1a];
	const outer = [0x03, 0x40, ...turn, 0x20, 0, 0x41, 0x7f, 0x6a, 0x22, 0, 0x0d, 0, 0x0b, 0x41, 0x07];
	const run = await opened(functionsOf([outer, COUNTING]));
	run[FUEL].value = 10_000;
	assert.equal(run.run(10), 7);
	assert.equal(run[FUEL].value, 10_000 - 10 * 101, 'ten turns, and a hundred in each');
	run[FUEL].value = 500;
	assert.throws(() => run.run(10), WebAssembly.RuntimeError);
	assert.equal(run[FUEL].value, -1);
});

test('what runs while an instance is made ends too', { timeout: 20_000 }, async () => {
	const body = [0x00, ...FOREVER.slice(0, -2), 0x0b];
	const wasm = Buffer.from([
		...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
		...section(1, [0x01, 0x60, 0x00, 0x00]),
		...section(3, [0x01, 0x00]),
		...section(8, [0x00]),
		...section(10, [0x01, body.length, ...body]),
	]);
	const module = await WebAssembly.compile(meter(wasm));
	assert.throws(() => new WebAssembly.Instance(module, {}), WebAssembly.RuntimeError);
});

test('what cannot be metered is refused', () => {
	const refused = (wasm: Buffer, expected: RegExp): void =>
		assert.throws(
			() => meter(wasm),
			(error: Error) => error instanceof Unmetered && expected.test(error.message),
		);
	// A vector, a reference, a tail call, an exception, bulk memory, and what is no instruction.
	for (const code of [[0xfd, 0x0c], [0xd0, 0x70], [0x12, 0x00], [0x06, 0x40], [0xfc, 0x0a], [0xfc, 0x0b], [0xff]])
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
	// What is longer than it looks: the rest would be read as instructions that are none, or hide some that are.
	refused(moduleOf([0x02, 0x63, 0x20, 0x0b, 0x41, 0x00]), /a block of a type that is not known/);
	refused(moduleOf([0x02, 0xe3, 0x7f, 0x0b, 0x41, 0x00]), /a block of a type that is not known/);
	refused(moduleOf([0x41, 0x00, 0x28, 0x42, 0x00, 0x00]), /more than one memory/);
	refused(moduleOf([0x3f, 0x01]), /more than one memory/);
	refused(moduleOf([0x41, 0x00], [], [0x01, 0x01, 0x63, 0x20]), /values of a type that is not known/);
	refused(moduleOf([0x41, 0x00], [section(5, [0x01, 0x04, 0x01])]), /a memory of a kind that is not known/);
	refused(moduleOf([0x41, 0x00], [section(5, [0x02, 0x00, 0x01, 0x00, 0x01])]), /more than one memory/);
	refused(moduleOf([0x10, 0x07]), /calls a function that it does not have/);
	// What would take more memory than there is before anybody sees that it is no policy.
	refused(moduleOf([...repeated(1_000_001, [0x03, 0x40, 0x0b]), 0x41, 0x00]), /too large/);
	refused(moduleOf(repeated(100_000, [0x02, 0x40])), /too large/);
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
		assert.match(stopped.error, /more than the 1000000 steps of policy\.fuel/);
		const next = judge({ n: 3 });
		assert.ok(next !== undefined && 'allow' in next);
		assert.equal(next.allow, true);
	}
});

test('what the host does for a policy is paid for, and an input pays for being read', { timeout: 20_000 }, async t => {
	const policy = await loaded(t, {
		'request.rego': `package sallyport.request

allow if {
	every a in numbers.range(1, input.n) {
		sprintf("%d", [a]) != "x"
	}
}

allow if count(input.text) > 2
`,
	});
	const judge = (input: unknown) => policy.packages.get('request')?.evaluate(JSON.stringify(input));
	const few = judge({ n: 1000 });
	assert.ok(few !== undefined && 'allow' in few && few.allow);
	const many = judge({ n: 4500 });
	assert.ok(many !== undefined && 'error' in many);
	assert.equal(many.exhausted, true);
	const long = judge({ text: Array.from({ length: 300_000 }, () => 1) });
	assert.ok(long !== undefined && 'allow' in long && long.allow);
});
