import {
	bytes,
	type Case,
	chainCase,
	type Draft,
	extension,
	forge,
	integer,
	leafCase,
	leafExtensions,
	NULL,
	oid,
	ROOT,
	sequence,
	TRUE,
	tlv,
} from './forge.ts';

/** Certificates that are not DER, or not certificates (X.690 §8, §10; RFC 5280 §4.1). */

const rule = 'strict DER';
const unread = /the certificate cannot be read: /;

function whole(way: string, der: Buffer, detail = unread): Case {
	return { ...chainCase(rule, way, [{ ...forge({ issuer: ROOT }), certificate: der }], detail), key: undefined };
}

/** The same elements with the outermost length written in another way. */
function relength(der: Buffer, header: readonly number[]): Buffer {
	const first = der[1] ?? 0;
	const skip = first < 0x80 ? 2 : 2 + (first & 0x7f);
	return Buffer.concat([bytes(0x30, ...header), der.subarray(skip)]);
}

export function encodingCases(): Case[] {
	const good = forge({ issuer: ROOT }).certificate;
	const length = good.length - 4;
	const extensions = leafExtensions();
	const draft = (way: string, more: Draft, detail: RegExp = unread): Case => leafCase(rule, way, more, detail);
	return [
		whole('nothing', Buffer.alloc(0)),
		whole('a text', Buffer.from('certificate')),
		whole('PEM', Buffer.from(`-----BEGIN CERTIFICATE-----\n${good.toString('base64')}\n-----END CERTIFICATE-----\n`)),
		whole('an indefinite length', Buffer.concat([bytes(0x30, 0x80), good.subarray(4), bytes(0, 0)])),
		whole('a length that is longer than it must be', relength(good, [0x83, 0, length >> 8, length & 0xff])),
		whole('a length of four octets', relength(good, [0x84, 0, 0, length >> 8, length & 0xff])),
		whole('a length that is too great', relength(good, [0x82, (length + 1) >> 8, (length + 1) & 0xff])),
		whole('a length that is too small', relength(good, [0x82, (length - 1) >> 8, (length - 1) & 0xff])),
		whole('another tag', Buffer.concat([bytes(0x31), good.subarray(1)])),
		whole('a tag of two octets', Buffer.concat([bytes(0x3f, 0x10), good.subarray(1)])),
		...[1, 2, 7, 100].map(count => whole(`${count} bytes after it`, Buffer.concat([good, Buffer.alloc(count)]))),
		whole('twice', Buffer.concat([good, good])),
		whole('only its signed part', good.subarray(4)),
		whole('one of 70,000 bytes', Buffer.concat([good, Buffer.alloc(70_000)])),
		...Array.from({ length: 24 }, (_, index) => {
			const cut = Math.floor((good.length * (index + 1)) / 25);
			return whole(`cut off after ${cut} of ${good.length} bytes`, good.subarray(0, cut));
		}),
		draft('bytes after the signed part', { after: NULL }, /tbsCertificate: bytes after its end/),
		draft('a set of extensions', { rawExtensions: tlv(0xa3, tlv(0x31, ...extensions)) }, /extensions: unexpected tag/),
		draft(
			'two lists of extensions',
			{ rawExtensions: tlv(0xa3, sequence(...extensions), sequence(...extensions)) },
			/extensions: bytes after its end/,
		),
		draft(
			'extensions under another tag',
			{ rawExtensions: tlv(0xa4, sequence(...extensions)) },
			/tbsCertificate: bytes after its end/,
		),
		draft('an extension that is none', { extensions: [...extensions, NULL] }, /extension: unexpected tag/),
		draft(
			'an extension without a value',
			{ extensions: [...extensions, sequence(oid('2.5.29.99'))] },
			/extension 2\.5\.29\.99: missing/,
		),
		draft(
			'more in an extension',
			{ extensions: [...extensions, sequence(oid('2.5.29.99'), tlv(0x04), NULL)] },
			/bytes after its end/,
		),
		draft(
			'critical that is 1',
			{ extensions: [...extensions, sequence(oid('2.5.29.99'), tlv(0x01, bytes(1)), tlv(0x04))] },
			/critical: not a DER boolean/,
		),
		draft(
			'critical twice',
			{ extensions: [...extensions, sequence(oid('2.5.29.99'), TRUE, TRUE, tlv(0x04))] },
			/unexpected tag/,
		),
		draft(
			'a value that is a bit string',
			{ extensions: [...extensions, sequence(oid('2.5.29.99'), tlv(0x03, bytes(0)))] },
			/unexpected tag/,
		),
		draft(
			'an object id that is not in its shortest form',
			{ extensions: [...extensions, sequence(tlv(0x06, bytes(0x55, 0x1d, 0x80, 0x63)), tlv(0x04))] },
			/not in its shortest form/,
		),
		draft(
			'an object id that is cut off',
			{ extensions: [...extensions, sequence(tlv(0x06, bytes(0x55, 0x9d)), tlv(0x04))] },
			/not an object identifier/,
		),
		draft(
			'an empty object id',
			{ extensions: [...extensions, sequence(tlv(0x06), tlv(0x04))] },
			/not an object identifier/,
		),
		draft(
			'65 extensions',
			{
				extensions: Array.from({ length: 65 }, (_, index) => extension(`1.3.6.1.4.1.55555.${index + 10}`, false, NULL)),
			},
			/more than 64/,
		),
		draft('a serial number that is no integer', { serial: tlv(0x04, bytes(1)) }, /serialNumber: unexpected tag/),
		draft('a version without its tag', { version: integer(2) }),
		draft('a version with bytes after it', { version: tlv(0xa0, integer(2), NULL) }, /version: bytes after its end/),
		draft('a version of two', { version: Buffer.concat([tlv(0xa0, integer(2)), tlv(0xa0, integer(2))]) }),
	];
}
