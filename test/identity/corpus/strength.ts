import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import {
	bytes,
	type Case,
	ca,
	chainCase,
	type Draft,
	ECDSA_SHA256,
	forge,
	integer,
	leafCase,
	type Made,
	NULL,
	name,
	oid,
	ROOT,
	sequence,
	tlv,
} from './forge.ts';

/** Signatures that do not hold or are too weak, and keys that are (RFC 5280 §6.1.3; the detail names the rule). */

const rsa = (modulusLength: number, publicExponent = 65537): KeyObject =>
	generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey;
const curve = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey;

const algorithm = (id: string, withNull = false): Buffer => sequence(oid(id), ...(withNull ? [NULL] : []));

/** RSASSA-PSS with a hash (RFC 4055 §3.1); SHA-1 where none is named. */
const pss = (hash?: string): Buffer =>
	sequence(
		oid('1.2.840.113549.1.1.10'),
		hash === undefined
			? sequence()
			: sequence(
					tlv(0xa0, algorithm(hash, true)),
					tlv(0xa1, sequence(oid('1.2.840.113549.1.1.8'), algorithm(hash, true))),
					tlv(0xa2, integer(32)),
				),
	);

function algorithms(): Case[] {
	const rule = 'signature algorithm: ECDSA and RSA with SHA-256 or longer, Ed25519';
	const no = /its signature algorithm [\d.]+ is not accepted|with a hash that is not accepted/;
	const root = ca({ issuer: ROOT, subject: name('RSA'), key: rsa(2048) });
	const issued = (way: string, issuer: Made, draft: Draft, detail = no): Case =>
		chainCase(rule, way, [forge({ issuer, ...draft }), issuer], detail);
	const anySignature = (): Buffer => randomBytes(64);
	return [
		leafCase(rule, 'ECDSA with SHA-1', { algorithm: algorithm('1.2.840.10045.4.1'), digest: 'sha1' }, no),
		leafCase(rule, 'ECDSA with SHA-224', { algorithm: algorithm('1.2.840.10045.4.3.1'), digest: 'sha224' }, no),
		issued('RSA with MD5', root, { algorithm: algorithm('1.2.840.113549.1.1.4', true), digest: 'md5' }),
		issued('RSA with SHA-1', root, { algorithm: algorithm('1.2.840.113549.1.1.5', true), digest: 'sha1' }),
		issued('RSA with SHA-224', root, { algorithm: algorithm('1.2.840.113549.1.1.14', true), digest: 'sha224' }),
		issued('RSA-PSS with SHA-1', root, {
			algorithm: pss(),
			signature: tbs => sign('sha1', tbs, { key: root.key, padding: 6, saltLength: 20 }),
		}),
		issued('RSA-PSS with SHA-1, said so', root, {
			algorithm: pss('1.3.14.3.2.26'),
			signature: tbs => sign('sha1', tbs, { key: root.key, padding: 6, saltLength: 32 }),
		}),
		...[
			['DSA with SHA-1', '1.2.840.10040.4.3'],
			['RSA with MD2', '1.2.840.113549.1.1.2'],
			['nobody knows what', '1.3.6.1.4.1.55555.2'],
			['Ed448', '1.3.101.113'],
			['HMAC with SHA-256', '1.2.840.113549.2.9'],
		].map(([way = '', id = '']) =>
			leafCase(
				rule,
				way,
				{ algorithm: algorithm(id), signature: anySignature },
				/does not verify|is not accepted|cannot be read/,
			),
		),
		leafCase(
			'signature algorithm: stated twice, equally',
			'another beside the signature',
			{ outerAlgorithm: algorithm('1.2.840.10045.4.3.3') },
			/stated twice, differently/,
		),
		leafCase(
			'signature algorithm: stated twice, equally',
			'with other parameters',
			{ outerAlgorithm: sequence(oid('1.2.840.10045.4.3.2'), NULL) },
			/stated twice, differently/,
		),
	];
}

function keys(): Case[] {
	const leafOf = (rule: string, way: string, key: KeyObject, detail: RegExp): Case =>
		leafCase(rule, way, { key }, detail);
	const caOf = (rule: string, way: string, key: KeyObject, detail: RegExp, more: Draft = {}): Case => {
		const weak = ca({ issuer: ROOT, subject: name('weak'), key });
		return chainCase(rule, `${way}, of a CA`, [forge({ issuer: weak, ...more }), weak], detail);
	};
	const size = 'RSA keys of at least 2048 bits';
	const short = /its RSA key is shorter than 2048 bits/;
	const curves = 'keys on P-256, P-384 or P-521';
	const odd = /its key is on a curve that is not accepted/;
	const type = 'keys of type RSA, EC or Ed25519';
	const ed448 = generateKeyPairSync('ed448').privateKey;
	const rsaSha256 = algorithm('1.2.840.113549.1.1.11', true);
	const spki = (...contents: readonly Uint8Array[]): Buffer => sequence(...contents);
	const point = Buffer.concat([bytes(0, 4), randomBytes(64)]);
	return [
		...[1024, 512, 2000].map(bits => leafOf(size, `${bits} bits`, rsa(bits), short)),
		caOf(size, '1024 bits', rsa(1024), short, { algorithm: rsaSha256 }),
		// First that which can be shown: TLS knows no leaf on such a curve.
		caOf(curves, 'secp256k1', curve('secp256k1'), odd),
		...['secp224r1', 'secp256k1', 'brainpoolP256r1'].map(named => leafOf(curves, named, curve(named), odd)),
		leafOf(type, 'Ed448', ed448, /its key is of a type that is not accepted/),
		leafOf(type, 'X25519', generateKeyPairSync('x25519').privateKey, /its key is of a type that is not accepted/),
		leafCase(
			type,
			'one that nobody knows',
			{ spki: spki(sequence(oid('1.3.6.1.4.1.55555.3')), tlv(0x03, bytes(0, 1))) },
			/its key cannot be read/,
			{ unshown: true },
		),
		leafCase(
			type,
			'a point that is not on the curve',
			{ spki: spki(sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7')), tlv(0x03, point)) },
			/its key cannot be read/,
			{ unshown: true },
		),
		leafCase(
			type,
			'a curve that nobody knows',
			{ spki: spki(sequence(oid('1.2.840.10045.2.1'), oid('1.3.6.1.4.1.55555.4')), tlv(0x03, point)) },
			/its key cannot be read/,
			{ unshown: true },
		),
		chainCase(
			type,
			'one that nobody knows, of a CA that is shown',
			[
				forge({ issuer: ROOT }),
				ca({ issuer: ROOT, spki: spki(sequence(oid('1.3.6.1.4.1.55555.3')), tlv(0x03, bytes(0, 1))) }),
			],
			/a certificate of its chain cannot be read: its key cannot be read/,
		),
		leafCase(
			'RSA keys with a good exponent',
			'one',
			{
				spki: spki(
					sequence(oid('1.2.840.113549.1.1.1'), NULL),
					tlv(0x03, bytes(0), sequence(integer(0, ...modulus()), integer(1))),
				),
			},
			/its key cannot be read|its RSA key has a bad exponent/,
			{ unshown: true },
		),
	];
}

const modulus = (): number[] => [0xc1, ...randomBytes(254), 0x0d];

function signatures(): Case[] {
	const rule = 'every signature verifies';
	const no = /a signature in its chain does not verify/;
	const good = forge({ issuer: ROOT });
	const changed = (way: string, find: Buffer, change: (at: number, der: Buffer) => void): Case => {
		const der = Buffer.from(good.certificate);
		change(der.indexOf(find), der);
		return chainCase(rule, way, [{ ...good, certificate: der }], no);
	};
	const flip =
		(by = 0) =>
		(at: number, der: Buffer): void => {
			der[at + by] = (der[at + by] ?? 0) ^ 0x01;
		};
	const made = (way: string, signature: (tbs: Buffer) => Uint8Array): Case => leafCase(rule, way, { signature }, no);
	return [
		changed('the id was changed', Buffer.from('researcher'), flip()),
		changed('the subject was changed', Buffer.from('leaf'), flip()),
		changed('the serial number was changed', Buffer.from([0x02, 0x04, 0x40]), flip(5)),
		changed('the end was changed', Buffer.from('Z'), flip(-1)),
		made('by another key', tbs => sign('sha256', tbs, forge().key)),
		made('of another text', tbs => sign('sha256', Buffer.concat([tbs, bytes(0)]), ROOT.key)),
		made('with another hash', tbs => sign('sha384', tbs, ROOT.key)),
		made('in another form', tbs => sign('sha256', tbs, { key: ROOT.key, dsaEncoding: 'ieee-p1363' })),
		made('empty', () => Buffer.alloc(0)),
		made('zeros', () => sequence(integer(0), integer(0))),
		made('ones', () => sequence(integer(1), integer(1))),
		made('random', () => randomBytes(70)),
		made('cut off', tbs => sign('sha256', tbs, ROOT.key).subarray(0, -1)),
		made('with bytes after it', tbs => Buffer.concat([sign('sha256', tbs, ROOT.key), bytes(0)])),
		leafCase(rule, 'as if it were RSA', { algorithm: algorithm('1.2.840.113549.1.1.11', true) }, no),
		intermediate(rule, no),
	];
}

/** A good leaf under a CA whose own signature does not verify. */
function intermediate(rule: string, detail: RegExp): Case {
	const forged = ca({ issuer: ROOT, subject: name('issuing'), signature: tbs => sign('sha256', tbs, forge().key) });
	return chainCase(rule, 'of an intermediate', [forge({ issuer: forged, algorithm: ECDSA_SHA256 }), forged], detail);
}

export const strengthCases = (): Case[] => [...algorithms(), ...keys(), ...signatures()];
