import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Frames } from '../../src/protocols/postgres/frames.ts';

const frame = (type: string, body: Uint8Array): Buffer => {
	const head = Buffer.alloc(5);
	head.write(type, 'latin1');
	head.writeInt32BE(body.length + 4, 1);
	return Buffer.concat([head, body]);
};

const messages = fc.array(fc.tuple(fc.constantFrom('Q', 'S', 'F', 'd', 'X', 'Z'), fc.uint8Array({ maxLength: 40 })), {
	maxLength: 12,
});

test('messages are counted wherever the stream is cut', () => {
	fc.assert(
		fc.property(messages, fc.array(fc.nat(40), { maxLength: 60 }), (list, sizes) => {
			const stream = Buffer.concat(list.map(([type, body]) => frame(type, body)));
			const frames = new Frames('QSF');
			let at = 0;
			for (const size of sizes) {
				frames.note(stream.subarray(at, at + size));
				at = Math.min(stream.length, at + size);
			}
			frames.note(stream.subarray(at));
			const last = list.at(-1);
			assert.equal(frames.count, list.filter(([type]) => 'QSF'.includes(type)).length);
			assert.equal(frames.between, true);
			assert.equal(frames.behind('X'), last?.[0] === 'X');
			if (last !== undefined && last[1].length > 0)
				assert.equal(frames.lastByte, String.fromCharCode(last[1].at(-1) ?? 0));
		}),
	);
});

test('a message that is not whole is under way, however much of it has come', () => {
	const whole = frame('Q', Buffer.from('select 1\0'));
	for (let length = 1; length < whole.length; length++) {
		const frames = new Frames('QSF');
		frames.note(whole.subarray(0, length));
		assert.equal(frames.between, false, `${length} bytes`);
		assert.equal(frames.count, 0);
	}
});

test('behind a length that cannot be nothing is known any more', () => {
	const frames = new Frames('Z');
	frames.note(Buffer.from([0x5a, 0, 0, 0, 3]));
	frames.note(frame('Z', Buffer.from('I')));
	assert.equal(frames.between, false);
	assert.equal(frames.behind('Z'), false);
});
