import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { anArray, anObject, aString, BuiltinFailure, isArray, isObject, RegoSet, type Value } from '../value.ts';
import type { Family } from './contract.ts';

/** Digests and encodings. */

const digest =
	(algorithm: string) =>
	([text]: readonly Value[]): Value =>
		createHash(algorithm).update(aString(text)).digest('hex');

const hmac =
	(algorithm: string) =>
	([text, key]: readonly Value[]): Value =>
		createHmac(algorithm, aString(key)).update(aString(text)).digest('hex');

function equalInConstantTime(left: string, right: string): boolean {
	const a = Buffer.from(left);
	const b = Buffer.from(right);
	return a.length === b.length && timingSafeEqual(a, b);
}

/** Bytes as text; what is not UTF-8 becomes the replacement character, as when OPA prints it. */
const utf8 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

function hexDecode(text: string): string {
	if (text.length % 2 !== 0 || /[^0-9a-fA-F]/.test(text)) throw new BuiltinFailure('not hexadecimal');
	return utf8(Buffer.from(text, 'hex'));
}

/** Go's url.QueryEscape. */
const queryEscape = (text: string): string =>
	[...Buffer.from(text)]
		.map(byte => {
			const character = String.fromCharCode(byte);
			if (/[A-Za-z0-9_.~-]/.test(character)) return character;
			return byte === 0x20 ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
		})
		.join('');

/** Go's url.QueryUnescape. */
function queryUnescape(text: string): string {
	if (/%(?![0-9a-fA-F]{2})/.test(text)) throw new BuiltinFailure('a broken percent escape');
	const bytes: Buffer[] = [];
	for (const [part] of text.matchAll(/%[0-9a-fA-F]{2}|\+|[^%+]+/g)) {
		if (part === '+') bytes.push(Buffer.from(' '));
		else bytes.push(part.startsWith('%') ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part));
	}
	return utf8(Buffer.concat(bytes));
}

/** Go's url.Values.Encode: keys in order. */
function encodeObject(object: ReadonlyMap<Value, Value>): string {
	const pairs: string[] = [];
	for (const key of [...object.keys()]
		.map(aString)
		.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
		const value = object.get(key);
		const values =
			typeof value === 'string'
				? [value]
				: value instanceof RegoSet
					? value.items.map(aString).toSorted()
					: anArray(value).map(aString);
		for (const item of values) pairs.push(`${queryEscape(key)}=${queryEscape(item)}`);
	}
	return pairs.join('&');
}

/** Go's url.ParseQuery: a semicolon, or a broken escape anywhere, is an error. */
function decodeObject(text: string): Value {
	const object = new Map<Value, Value[]>();
	for (const part of text.split('&')) {
		if (part === '') continue;
		if (part.includes(';')) throw new BuiltinFailure('a semicolon in a query');
		const [key = '', ...rest] = part.split('=');
		const name = queryUnescape(key);
		const values = object.get(name) ?? [];
		values.push(queryUnescape(rest.join('=')));
		object.set(name, values);
	}
	return object;
}

const base64url = (text: string): string => {
	if (/[^A-Za-z0-9_-]/.test(text) || text.length % 4 === 1) throw new BuiltinFailure('not base64url');
	return Buffer.from(text, 'base64url').toString('latin1');
};

/** Header, payload and signature (hexadecimal) of a JWS in its compact form (RFC 7515 §7.1); nothing is verified. */
function decodeJwt(token: string): Value {
	const parts = token.split('.');
	if (parts.length !== 3) throw new BuiltinFailure('no JSON Web Token');
	const [header = '', payload = '', signature = ''] = parts.map(part => base64url(part.replace(/=+$/, '')));
	const head = jsonObject(header);
	if (head.get('enc') !== undefined) throw new BuiltinFailure('an encrypted token');
	const body =
		head.get('cty') === 'JWT'
			? anArray(decodeJwt(Buffer.from(payload, 'latin1').toString('utf8')))[1]
			: jsonObject(payload);
	return [head, body ?? null, Buffer.from(signature, 'latin1').toString('hex')];
}

function jsonObject(bytes: string): ReadonlyMap<Value, Value> {
	let value: unknown;
	try {
		value = JSON.parse(Buffer.from(bytes, 'latin1').toString('utf8'));
	} catch {
		throw new BuiltinFailure('not JSON');
	}
	return anObject(fromJson(value));
}

/** A value of JSON.parse as a Rego value. */
export function fromJson(value: unknown): Value {
	if (Array.isArray(value)) return value.map(fromJson);
	if (typeof value === 'object' && value !== null)
		return new Map<Value, Value>(Object.entries(value).map(([key, item]) => [key, fromJson(item)]));
	if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) return BigInt(value);
	return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
}

/** A Rego value for JSON.stringify: sets as arrays, keys as text. */
export function toJson(value: Value): unknown {
	if (value instanceof RegoSet) return value.items.map(toJson);
	if (typeof value === 'bigint') return Number(value);
	if (typeof value !== 'object' || value === null) return value;
	if (isArray(value)) return value.map(toJson);
	return isObject(value) ? Object.fromEntries([...value].map(([key, item]) => [String(key), toJson(item)])) : null;
}

const UUID = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i;
/** Between 1582-10-15, when the time of UUIDs begins, and the epoch, in 100 ns. */
const GREGORIAN = 122_192_928_000_000_000n;

/** The fields of a UUID (RFC 9562) as OPA names them. */
function parseUuid(text: string): Value {
	const match = UUID.exec(text.replace(/^urn:uuid:/i, '').replace(/^\{(.*)\}$/, '$1'));
	if (match === null) throw new BuiltinFailure('no UUID');
	const bytes = Buffer.from(match.slice(1).join(''), 'hex');
	const version = (bytes[6] ?? 0) >> 4;
	const top = bytes[8] ?? 0;
	const variant =
		(top & 0xc0) === 0x80
			? 'RFC4122'
			: (top & 0xe0) === 0xc0
				? 'Microsoft'
				: (top & 0xe0) === 0xe0
					? 'Future'
					: 'Reserved';
	const fields = new Map<Value, Value>([
		['version', version],
		['variant', variant],
	]);
	if (version === 1 || version === 2) {
		const ticks =
			BigInt(bytes.readUInt32BE(0)) |
			(BigInt(bytes.readUInt16BE(4)) << 32n) |
			((BigInt(bytes.readUInt16BE(6)) & 0xfffn) << 48n);
		// As Go's int64, which overflows for a time that is none.
		fields.set('time', BigInt.asIntN(64, (ticks - GREGORIAN) * 100n));
		fields.set('nodeid', [...bytes.subarray(10)].map(byte => byte.toString(16).padStart(2, '0')).join('-'));
		fields.set('macvariables', macVariables(bytes[10] ?? 0));
		fields.set('clocksequence', bytes.readUInt16BE(8) & 0x3fff);
		if (version === 2) {
			fields.set('id', bytes.readUInt32BE(0));
			fields.set('domain', ['Person', 'Group', 'Org'][bytes[9] ?? 0] ?? `Domain${bytes[9] ?? 0}`);
		}
	}
	return fields;
}

function macVariables(byte: number): string {
	const reach = (byte & 1) === 0 ? 'unicast' : 'multicast';
	return `${(byte & 2) === 0 ? 'global' : 'local'}:${reach}`;
}

export const CODEC: Family = {
	'crypto.md5': digest('md5'),
	'crypto.sha1': digest('sha1'),
	'crypto.sha256': digest('sha256'),
	'crypto.hmac.md5': hmac('md5'),
	'crypto.hmac.sha1': hmac('sha1'),
	'crypto.hmac.sha256': hmac('sha256'),
	'crypto.hmac.sha512': hmac('sha512'),
	'crypto.hmac.equal': ([left, right]) => equalInConstantTime(aString(left), aString(right)),
	'hex.encode': ([text]) => Buffer.from(aString(text)).toString('hex'),
	'hex.decode': ([text]) => hexDecode(aString(text)),
	'base64url.encode_no_pad': ([text]) => Buffer.from(aString(text)).toString('base64url'),
	'urlquery.encode': ([text]) => queryEscape(aString(text)),
	'urlquery.decode': ([text]) => queryUnescape(aString(text)),
	'urlquery.encode_object': ([object]) => encodeObject(anObject(object)),
	'urlquery.decode_object': ([text]) => decodeObject(aString(text)),
	'io.jwt.decode': ([token]) => decodeJwt(aString(token)),
	'uuid.parse': ([text]) => parseUuid(aString(text)),
};
