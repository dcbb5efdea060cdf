import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { scanJson } from '../../src/formats/json.ts';

const LIMITS = { depth: 1000, bytes: 1_000_000 };

const parses = (text: string): boolean => {
	try {
		JSON.parse(text);
		return true;
	} catch {
		return false;
	}
};

test('what JSON.stringify writes is accepted', () => {
	fc.assert(
		fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(undefined, 2, '\t'), (value, space) => {
			const text = JSON.stringify(value, undefined, space);
			// JavaScript prints integers beyond 2^53 that its own doubles do not hold.
			fc.pre(!/\d{16}/.test(text) || /\.\d/.test(text));
			const fault = scanJson(Buffer.from(text), LIMITS);
			if (fault?.rule === 'number') assert.match(text, /\d{16}/);
			else assert.equal(fault, undefined, text);
		}),
		{ numRuns: 500 },
	);
});

/** Texts near JSON: pieces of it in any order. */
const pieces = fc.array(
	fc.constantFrom(
		'{',
		'}',
		'[',
		']',
		':',
		',',
		'"a"',
		'"b"',
		'"\\u0061"',
		'"\\ud800"',
		'"\\ud83d\\ude00"',
		'"',
		'\\',
		'1',
		'-',
		'0',
		'.5',
		'e5',
		'1e999',
		'true',
		'null',
		' ',
		'\n',
		'\u0001',
		'ä',
		'😀',
		'\ufeff',
	),
	{ maxLength: 12 },
);

test('what is accepted, JSON.parse accepts too, and what JSON.parse refuses is refused', () => {
	fc.assert(
		fc.property(pieces, parts => {
			const text = parts.join('');
			if (scanJson(Buffer.from(text), LIMITS) === undefined) assert.ok(parses(text), text);
		}),
		{ numRuns: 20_000 },
	);
});

test('what JSON.parse accepts is refused only for a rule that JSON.parse does not have', () => {
	const narrower = new Set(['duplicate_key', 'lone_surrogate', 'number', 'byte_order_mark']);
	fc.assert(
		fc.property(pieces, parts => {
			const text = parts.join('');
			const fault = scanJson(Buffer.from(text), LIMITS);
			if (fault !== undefined && parses(text)) assert.ok(narrower.has(fault.rule), `${text}: ${fault.rule}`);
		}),
		{ numRuns: 20_000 },
	);
});

test('any bytes give an answer, and a fault lies within them', () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
			const fault = scanJson(bytes, LIMITS);
			if (fault === undefined)
				assert.ok(parses(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)));
			else assert.ok(fault.offset >= 0 && fault.offset <= bytes.length);
		}),
		{ numRuns: 5_000 },
	);
});

test('a number that is accepted is the same number after a double', () => {
	const number = fc.tuple(
		fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }),
		fc.option(fc.bigInt({ min: 0n, max: 10n ** 12n })),
		fc.option(fc.integer({ min: -330, max: 330 })),
	);
	fc.assert(
		fc.property(number, ([whole, fraction, exponent]) => {
			const text = `${whole}${fraction === null ? '' : `.${fraction}`}${exponent === null ? '' : `e${exponent}`}`;
			if (scanJson(Buffer.from(text), LIMITS) !== undefined) return;
			assert.ok(Number.isFinite(Number(text)));
			if (fraction === null && exponent === null) assert.equal(BigInt(Number(text)), whole);
		}),
		{ numRuns: 5_000 },
	);
});
