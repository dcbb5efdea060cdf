import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { protoField, readProto } from '../../src/formats/protobuf.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

function fieldsOf(text: string): [number, string | undefined][] {
	const fields = readProto(hex(text));
	if ('broken' in fields) assert.fail(fields.broken);
	return fields.map(({ number, bytes }) => [number, bytes?.toString('latin1')]);
}

test('the examples of the format are read', () => {
	assert.deepEqual(fieldsOf(''), []);
	// a = 150; b = "testing"
	assert.deepEqual(fieldsOf('08 96 01'), [[1, undefined]]);
	assert.deepEqual(fieldsOf('12 07 74 65 73 74 69 6e 67'), [[2, 'testing']]);
	// A double, a float, a varint of ten bytes (-1), an empty string, field 16.
	assert.deepEqual(fieldsOf('09 0000000000000000 15 00000000 08 ffffffffffffffffff01 1a 00 82 01 01 61'), [
		[1, undefined],
		[2, undefined],
		[1, undefined],
		[3, ''],
		[16, 'a'],
	]);
});

test('what is not well formed is refused', () => {
	for (const text of [
		'08', // no value
		'08 80', // a varint that is cut off
		'08 80 00', // one that is not in its shortest form
		'08 ffffffffffffffffffff01', // one of eleven bytes
		'00 01', // field zero
		'0a 05 61', // longer than what is there
		'0a ffffffffffffffff7f', // much longer
		'09 00', // half a double
		'15 00', // half a float
		'0b', // the begin of a group
		'0c', // its end
		'0e', // no wire type
		'fa ff ff ff ff 0f 00', // a field number of more than 29 bits
	]) {
		const fields = readProto(hex(text));
		assert.ok('broken' in fields, text);
	}
	assert.ok('broken' in readProto(Buffer.concat(Array.from({ length: 5000 }, () => hex('08 01')))));
});

test('whatever is written is read back, and no bytes make it throw', () => {
	fc.assert(
		fc.property(
			fc.array(fc.tuple(fc.integer({ min: 1, max: 2 ** 29 - 1 }), fc.uint8Array({ maxLength: 300 })), {
				maxLength: 20,
			}),
			fields => {
				const read = readProto(Buffer.concat(fields.map(([number, bytes]) => protoField(number, bytes))));
				assert.ok(!('broken' in read));
				assert.deepEqual(
					read.map(({ number, bytes }) => [number, bytes?.toString('hex')]),
					fields.map(([number, bytes]) => [number, Buffer.from(bytes).toString('hex')]),
				);
			},
		),
	);
	fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), bytes => void readProto(Buffer.from(bytes))));
});
