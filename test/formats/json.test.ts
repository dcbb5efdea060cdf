import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonRule, scanJson } from '../../src/formats/json.ts';

const LIMITS = { depth: 4, bytes: 1000 };
const scan = (text: string | Buffer) => scanJson(typeof text === 'string' ? Buffer.from(text) : text, LIMITS);

const GOOD: readonly string[] = [
	'{}',
	'[]',
	'0',
	'-0',
	'true',
	'false',
	'null',
	'""',
	' \t\r\n{"a" : [ 1 , 2.5e-3 ] }\n',
	'"\\u00e4\\n\\"\\\\\\/\\b\\f\\r\\t"',
	'"😀"',
	'"\\ud83d\\ude00"',
	'{"a":1,"A":2,"":3}',
	'[[[[]]]]',
	'9007199254740992',
	'9007199254740994',
	'-9007199254740992',
	'100000000000000000000',
	'1267650600228229401496703205376',
	'0.1',
	'3.141592653589793',
	'0.30000000000000004',
	'1e308',
	'5e-324',
	'1E+2',
	'0e999',
	'0.000',
	'1.50000000000000000000',
	'123456789012345e10',
	'1.881039745857308e17',
	'0.12345678901234568',
	'4.9e-324',
	'2.2250738585072014e-308',
];

for (const text of GOOD) test(`accepts ${text.trim().slice(0, 40)}`, () => assert.equal(scan(text), undefined));

const BAD: readonly (readonly [text: string | Buffer, rule: JsonRule, offset: number])[] = [
	['', 'syntax', 0],
	['  ', 'syntax', 2],
	['{"a":1,"a":2}', 'duplicate_key', 7],
	['{"a":1,"\\u0061":2}', 'duplicate_key', 7],
	['{"a":{"b":1},"c":{"b":1,"b":2}}', 'duplicate_key', 24],
	['{"\\ud83d\\ude00":1,"😀":2}', 'duplicate_key', 18],
	['[[[[[]]]]]', 'depth', 4],
	['{"a":{"a":{"a":{"a":{}}}}}', 'depth', 20],
	['\ufeff{}', 'byte_order_mark', 0],
	[Buffer.from([0x22, 0xff, 0x22]), 'utf8', 1],
	[Buffer.from([0x22, 0x61, 0xc3, 0x22]), 'utf8', 2],
	[Buffer.from([0x22, 0xc3, 0xa4, 0xed, 0xa0, 0x80, 0x22]), 'utf8', 3],
	[Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 'utf8', 1],
	['"\\ud800"', 'lone_surrogate', 1],
	['"\\ude00"', 'lone_surrogate', 1],
	['"a\\ud83dx"', 'lone_surrogate', 2],
	['"\\ud83d\\u0041"', 'lone_surrogate', 1],
	['"\\ud83d\\ud83d\\ude00"', 'lone_surrogate', 1],
	['"a\u0000"', 'control_character', 2],
	['"\n"', 'control_character', 1],
	['9007199254740993', 'number', 0],
	['[1,-9007199254740993]', 'number', 3],
	['9007199254740993.0', 'number', 0],
	['90071992547409930e-1', 'number', 0],
	['0.12345678901234567', 'number', 0],
	['-188103974585730750', 'number', 0],
	['1e400', 'number', 0],
	['-1e400', 'number', 0],
	['1e-400', 'number', 0],
	['0.1234567890123456789', 'number', 0],
	['1'.repeat(400), 'number', 0],
	['{} {}', 'trailing_bytes', 3],
	['1 2', 'trailing_bytes', 2],
	['{}\u0000', 'trailing_bytes', 2],
	['01', 'trailing_bytes', 1],
	['-', 'syntax', 1],
	['1.', 'syntax', 2],
	['.5', 'syntax', 0],
	['1e', 'syntax', 2],
	['+1', 'syntax', 0],
	['0x10', 'trailing_bytes', 1],
	['NaN', 'syntax', 0],
	['Infinity', 'syntax', 0],
	["{'a':1}", 'syntax', 1],
	['{a:1}', 'syntax', 1],
	['{"a":1,}', 'syntax', 7],
	['[1,]', 'syntax', 3],
	['[1 2]', 'syntax', 3],
	['{"a" 1}', 'syntax', 5],
	['{"a":}', 'syntax', 5],
	['[', 'syntax', 1],
	['{"a":1]', 'syntax', 6],
	['[1}', 'syntax', 2],
	['"a', 'syntax', 2],
	['"\\x"', 'syntax', 1],
	['"\\u12g4"', 'syntax', 1],
	['"\\', 'syntax', 1],
	['tru', 'syntax', 0],
	['truex', 'trailing_bytes', 4],
	['/**/1', 'syntax', 0],
	[`"${'x'.repeat(1000)}"`, 'size', 1000],
];

for (const [text, rule, offset] of BAD) {
	test(`refuses ${JSON.stringify(text.toString('utf8')).slice(0, 40)} for ${rule}`, () =>
		assert.deepEqual(scan(text), { rule, offset }));
}

test('long runs of digits, keys and brackets take no more than linear time', () => {
	const limits = { depth: 64, bytes: 8 * 1024 * 1024 };
	const start = performance.now();
	for (const text of [
		`1${'0'.repeat(1_000_000)}1`,
		`0.${'0'.repeat(1_000_000)}1`,
		`1e${'0'.repeat(1_000_000)}1`,
		'['.repeat(1_000_000),
		`{${Array.from({ length: 100_000 }, (_, index) => `"k${index}":1`).join(',')}}`,
	]) {
		scanJson(Buffer.from(text), limits);
	}
	assert.ok(performance.now() - start < 15_000);
});

test('only the given stretch of a larger buffer is looked at', () => {
	const buffer = Buffer.from('xx{"a":"b"}yy');
	assert.equal(scanJson(buffer.subarray(2, 11)), undefined);
	assert.deepEqual(scanJson(buffer.subarray(2, 12)), { rule: 'trailing_bytes', offset: 9 });
});
