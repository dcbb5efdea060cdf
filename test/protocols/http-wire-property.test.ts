import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readAnswerHead } from '../../src/protocols/http/answer-head.ts';
import { BodyReader } from '../../src/protocols/http/body-reader.ts';
import { HeadReader, type RawHead, type Unreadable } from '../../src/protocols/http/head-reader.ts';
import { chunk, lastChunk } from '../../src/protocols/http/writer.ts';

const LIMIT = 4096;
const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}$/);
const value = fc.stringMatching(/^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?)?$/);
const blank = fc.stringMatching(/^[\t ]{0,3}$/);
const line = fc.tuple(token, blank, value, blank);
const cuts = fc.array(fc.nat(400), { maxLength: 6 });

/** The bytes in pieces, cut at these places. */
function pieces(bytes: Buffer, places: readonly number[]): Buffer[] {
	const sorted = [...new Set(places.map(place => place % (bytes.length + 1)))].sort((a, b) => a - b);
	return [0, ...sorted].map((from, index) => bytes.subarray(from, sorted[index] ?? bytes.length));
}

function readWhole(parts: readonly Buffer[]): RawHead | Unreadable | undefined {
	const reader = new HeadReader(LIMIT);
	for (const [index, part] of parts.entries()) {
		const read = reader.push(part);
		if (read === undefined) continue;
		if (!('fields' in read)) return read;
		return { ...read, rest: Buffer.concat([read.rest, ...parts.slice(index + 1)]) };
	}
	return undefined;
}

test('a head is read the same however its bytes arrive, and what comes behind it is left alone', () => {
	fc.assert(
		fc.property(fc.array(line, { maxLength: 8 }), cuts, fc.uint8Array({ maxLength: 30 }), (lines, places, behind) => {
			const text = lines.map(([name, before, content, after]) => `${name}:${before}${content}${after}\r\n`).join('');
			const bytes = Buffer.concat([Buffer.from(`GET / HTTP/1.1\r\n${text}\r\n`, 'latin1'), behind]);
			const read = readWhole(pieces(bytes, places));
			assert.ok(read !== undefined && 'fields' in read, JSON.stringify(read));
			assert.equal(read.startLine, 'GET / HTTP/1.1');
			assert.deepEqual(
				read.fields,
				lines.flatMap(([name, , content]) => [name, content]),
			);
			assert.deepEqual(read.rest, Buffer.from(behind));
		}),
	);
});

test('whatever bytes come, a head that is taken stands there as it was read, line by line', () => {
	const piece = fc.constantFrom(
		'GET / HTTP/1.1',
		'\r\n',
		'\n',
		'\r',
		'A: b',
		'A : b',
		' folded',
		':',
		'A:',
		'\0',
		'\x7f',
		'Ä: ö',
		' ',
	);
	fc.assert(
		fc.property(fc.array(piece, { maxLength: 14 }), cuts, (parts, places) => {
			const text = parts.join('');
			const bytes = Buffer.from(text, 'latin1');
			const read = readWhole(pieces(bytes, places));
			if (read === undefined || !('fields' in read)) return;
			const head = text.replace(/^(?:\r\n)+/, '').split('\r\n\r\n', 1)[0] ?? '';
			const [start, ...lines] = head.split('\r\n');
			assert.equal(read.startLine, start);
			assert.doesNotMatch(head, /[\0\x7f]|\r(?!\n)|(?<!\r)\n/);
			const seen = lines.map(one => [
				one.slice(0, one.indexOf(':')),
				one.slice(one.indexOf(':') + 1).replace(/^[\t ]+|[\t ]+$/g, ''),
			]);
			assert.deepEqual(read.fields, seen.flat());
			for (const [name] of seen) assert.match(name ?? '', /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/);
		}),
		{ numRuns: 2000 },
	);
});

test('a bare line end is refused at once, a head beyond the limit when it passes it', () => {
	const read = (text: string) => new HeadReader(64).push(Buffer.from(text, 'latin1'));
	assert.deepEqual(Object.keys(read('GET / HTTP/1.1\nHost: a\n') ?? {}), ['unreadable']);
	assert.deepEqual(Object.keys(read('GET / HTTP/1.1\rHost: a') ?? {}), ['unreadable']);
	assert.equal(read('GET / HTTP/1.1\r'), undefined);
	assert.deepEqual(read(`GET /${'a'.repeat(64)}`), { tooLong: true });
	assert.deepEqual(read(`GET /${'a'.repeat(64)} HTTP/1.1\r\n\r\n`), { tooLong: true });
});

test('a chunked body comes out as it went in, however it is cut, with its trailers', () => {
	fc.assert(
		fc.property(
			fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 }),
			fc.array(fc.tuple(token, value), { maxLength: 3 }),
			cuts,
			(parts, trailers, places) => {
				const body = parts.map(part => Buffer.from(part));
				const bytes = Buffer.concat([
					...body.map(part => chunk(part)),
					Buffer.from(lastChunk(trailers.flat()), 'latin1'),
					Buffer.from('next'),
				]);
				const reader = new BodyReader({ kind: 'chunked' }, LIMIT);
				const got: Buffer[] = [];
				let taken = 0;
				for (const piece of pieces(bytes, places)) {
					const took = reader.take(piece, part => got.push(part));
					assert.equal(typeof took, 'number');
					taken += Number(took);
				}
				assert.deepEqual(Buffer.concat(got), Buffer.concat(body));
				assert.equal(reader.over, true);
				assert.deepEqual(reader.trailers, trailers.flat());
				assert.equal(taken, bytes.length - 4, 'what follows is not the body');
			},
		),
	);
});

test('sizes, line ends and extensions that parsers have differed over end a chunked body', () => {
	const broken = (text: string): boolean =>
		typeof new BodyReader({ kind: 'chunked' }, LIMIT).take(Buffer.from(text, 'latin1'), () => {}) === 'object';
	for (const text of [
		'5\nhello\r\n',
		'0x5\r\nhello\r\n',
		'+5\r\nhello\r\n',
		' 5\r\nhello\r\n',
		'5 \r\nhello\r\n',
		'\r\n',
		'5\r\nhelloworld\r\n',
		'5\r\nhello\n0\r\n\r\n',
		'5;a\nb\r\nhello\r\n',
		'5;\0\r\nhello\r\n',
		'fffffffffffff\r\n',
		`5;${'x'.repeat(2000)}\r\n`,
		'0\r\nnot a field\r\n\r\n',
	])
		assert.equal(broken(text), true, JSON.stringify(text));
	assert.equal(broken('5;name=value\r\nhello\r\n0\r\n\r\n'), false, 'a plain extension is dropped');
});

test('an answer whose end has two readings, or whose status line is none, is not taken', () => {
	const read = (text: string) => {
		const raw = new HeadReader(LIMIT).push(Buffer.from(`${text}\r\n\r\n`, 'latin1'));
		assert.ok(raw !== undefined && 'fields' in raw);
		return readAnswerHead(raw, 'GET');
	};
	for (const text of [
		'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5',
		'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked',
		'HTTP/1.1 200 OK\r\nContent-Length: +5',
		'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked',
		'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked',
		'HTTP/2 200 OK',
		'HTTP/1.1 20 OK',
		'HTTP/1.1  200 OK',
		'ICY 200 OK',
	])
		assert.ok('unreadable' in read(text), text);
	assert.deepEqual(read('HTTP/1.1 200'), {
		status: 200,
		phrase: '',
		list: [],
		framing: { kind: 'close' },
		persistent: false,
		keepAlive: undefined,
	});
});
