import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
	boolean,
	Cursor,
	type DerElement,
	inside,
	integerBytes,
	MAX_DER,
	namedBits,
	objectIdentifier,
	readDer,
	smallInteger,
	TAG,
	time,
} from '../../src/formats/der.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** Reads one element of the tag by `read`; the rule that is broken comes back as text. */
function one<Value>(bytes: string, tag: number, read: (element: DerElement, name: string) => Value): Value | string {
	const value = readDer(hex(bytes), tag, element => ({ value: read(element, 'it') }));
	return 'broken' in value ? value.broken : value.value;
}

test('the shape of an element: tag, shortest definite length, nothing left over', () => {
	const empty = (bytes: string) => one(bytes, TAG.sequence, element => element.contents.length);
	assert.equal(empty('30 00'), 0);
	assert.equal(empty(`30 81 80 ${'00'.repeat(128)}`), 128);
	const broken: readonly [string, RegExp][] = [
		['', /missing or cut off/],
		['30', /missing or cut off/],
		['31 00', /unexpected tag 0x31/],
		['30 01', /longer than what holds it/],
		['30 00 00', /bytes after its end/],
		['30 80 00 00', /indefinite/],
		['30 81 00', /shortest form/],
		[`30 81 7f ${'00'.repeat(127)}`, /shortest form/],
		[`30 82 00 80 ${'00'.repeat(128)}`, /shortest form/],
		['30 84 00 00 00 00', /more than three bytes/],
		['30 ff', /more than three bytes/],
		['30 82 01', /cut off in its length/],
		['3f 81 00 00', /tag of more than one byte/],
	];
	for (const [bytes, why] of broken) assert.match(String(empty(bytes)), why, bytes);
});

test('size and depth are limits', () => {
	const big = Buffer.alloc(MAX_DER + 1, 0x30);
	assert.match(JSON.stringify(readDer(big, TAG.sequence, () => 0)), /longer than 65536/);
	let nested = Buffer.from([0x30, 0x00]);
	for (let depth = 0; depth < 30; depth += 1) nested = Buffer.concat([Buffer.from([0x30, nested.length]), nested]);
	const dive = (element: DerElement): number => {
		const cursor = inside(element);
		return cursor.done ? element.depth : dive(cursor.take(TAG.sequence, 'it'));
	};
	assert.deepEqual(readDer(nested, TAG.sequence, dive), { broken: 'nested more than 16 deep' });
});

test('booleans, integers and bits have one spelling', () => {
	assert.equal(one('01 01 ff', TAG.boolean, boolean), true);
	assert.equal(one('01 01 00', TAG.boolean, boolean), false);
	for (const wrong of ['01 01 01', '01 00', '01 02 ff ff'])
		assert.match(String(one(wrong, TAG.boolean, boolean)), /not a DER boolean/);
	assert.deepEqual(one('02 02 00 80', TAG.integer, integerBytes), hex('0080'));
	for (const wrong of ['02 00', '02 02 00 7f', '02 02 ff 80'])
		assert.match(String(one(wrong, TAG.integer, integerBytes)), /integer/);
	assert.equal(one('02 02 01 00', TAG.integer, smallInteger), 256);
	assert.match(String(one('02 01 ff', TAG.integer, smallInteger)), /negative/);
	assert.match(String(one('02 05 01 00 00 00 00', TAG.integer, smallInteger)), /too large/);
	assert.deepEqual(one('03 02 07 80', TAG.bitString, namedBits), new Set([0]));
	assert.deepEqual(one('03 02 01 06', TAG.bitString, namedBits), new Set([5, 6]));
	assert.deepEqual(one('03 03 07 00 80', TAG.bitString, namedBits), new Set([8]));
	assert.deepEqual(one('03 01 00', TAG.bitString, namedBits), new Set());
	for (const wrong of ['03 00', '03 01 01', '03 02 08 80', '03 02 07 81'])
		assert.equal(typeof one(wrong, TAG.bitString, namedBits), 'string', wrong);
});

test('object identifiers', () => {
	assert.equal(one('06 03 55 1d 13', TAG.oid, objectIdentifier), '2.5.29.19');
	assert.equal(one('06 08 2b 06 01 05 05 07 03 02', TAG.oid, objectIdentifier), '1.3.6.1.5.5.7.3.2');
	assert.equal(one('06 03 88 37 03', TAG.oid, objectIdentifier), '2.999.3');
	for (const wrong of ['06 00', '06 01 80', '06 03 55 80 01', '06 02 55 81', `06 0a 55 ${'ff'.repeat(8)} 7f`])
		assert.match(String(one(wrong, TAG.oid, objectIdentifier)), /object identifier/, wrong);
});

test('times are real times, in Zulu, with seconds', () => {
	const at = (tag: number, text: string) =>
		one(
			`${tag.toString(16)} ${text.length.toString(16).padStart(2, '0')} ${Buffer.from(text).toString('hex')}`,
			tag,
			time,
		);
	assert.equal(at(TAG.utcTime, '250102030405Z'), Date.UTC(2025, 0, 2, 3, 4, 5));
	assert.equal(at(TAG.utcTime, '491231235959Z'), Date.UTC(2049, 11, 31, 23, 59, 59));
	assert.equal(at(TAG.utcTime, '500101000000Z'), Date.UTC(1950, 0, 1));
	assert.equal(at(TAG.generalizedTime, '20500101000000Z'), Date.UTC(2050, 0, 1));
	assert.equal(at(TAG.generalizedTime, '20240229000000Z'), Date.UTC(2024, 1, 29));
	for (const wrong of [
		'2501020304Z',
		'250102030405+0000',
		'251302030405Z',
		'250230000000Z',
		'250102240000Z',
		'250102030460Z',
		'25010203040Z',
		' 50102030405Z',
	]) {
		assert.match(String(at(TAG.utcTime, wrong)), /not a time|no such time/, wrong);
	}
	assert.match(String(at(TAG.generalizedTime, '20250102030405.5Z')), /not a time/);
});

test('whatever the bytes, a reading ends with a value', () => {
	const walk = (element: DerElement): number => {
		let count = 1;
		if ((element.tag & 0x20) === 0) return count;
		for (const cursor = inside(element); !cursor.done; ) count += walk(cursor.any('it'));
		return count;
	};
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
			const read = readDer(
				Buffer.concat([Buffer.from([0x30, 0x82]), Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]),
				TAG.sequence,
				walk,
			);
			return typeof read === 'number' || typeof read.broken === 'string';
		}),
		{ numRuns: 1000 },
	);
});

test('a cursor gives what was put in, in order', () => {
	fc.assert(
		fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 10 }), items => {
			const encoded = items.map(item => {
				const length =
					item.length < 128
						? [item.length]
						: item.length < 256
							? [0x81, item.length]
							: [0x82, item.length >> 8, item.length & 255];
				return Buffer.concat([Buffer.from([TAG.octetString, ...length]), item]);
			});
			const cursor = new Cursor(Buffer.concat(encoded), 0);
			const read = items.map(() => cursor.take(TAG.octetString, 'it').contents);
			return cursor.done && read.every((contents, index) => contents.equals(items[index] ?? Buffer.of(1)));
		}),
	);
});
