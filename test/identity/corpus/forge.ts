import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { LOOPBACK_NAMES } from '../../../src/identity/dev-ca.ts';
import { type Minted, newKey } from '../../../src/identity/mint.ts';

/**
 * Certificates byte by byte: whatever is left out of a draft is as it should be, whatever is put in is taken as it is.
 * What `mint` makes is always well formed; this need not be.
 */

export const NOW = Date.now();
export const HOUR = 3_600_000;
export const DOMAIN = 'example.org';
export const AGENT = 'spiffe://example.org/agents/researcher';

/** One element: identifier octet, the length in its shortest form, contents. */
export function tlv(tag: number, ...contents: readonly Uint8Array[]): Buffer {
	const inside = Buffer.concat(contents);
	const length: number[] = [];
	for (let rest = inside.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256);
	const header = inside.length < 0x80 ? [inside.length] : [0x80 | length.length, ...length];
	return Buffer.concat([Buffer.from([tag, ...header]), inside]);
}

export const bytes = (...values: readonly number[]): Buffer => Buffer.from(values);
export const sequence = (...contents: readonly Uint8Array[]): Buffer => tlv(0x30, ...contents);
export const integer = (...octets: readonly number[]): Buffer => tlv(0x02, bytes(...octets));
export const TRUE = tlv(0x01, bytes(0xff));
export const NULL = tlv(0x05);

export function oid(text: string): Buffer {
	const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
	const octets = [first * 40 + second, ...rest].flatMap(arc => {
		const seven: number[] = [arc & 0x7f];
		for (let more = Math.floor(arc / 128); more > 0; more = Math.floor(more / 128)) seven.unshift((more & 0x7f) | 0x80);
		return seven;
	});
	return tlv(0x06, bytes(...octets));
}

export const name = (commonName: string): Buffer =>
	commonName === '' ? sequence() : sequence(tlv(0x31, sequence(oid('2.5.4.3'), tlv(0x0c, Buffer.from(commonName)))));

export const utcTime = (milliseconds: number): Buffer => {
	const digits = new Date(milliseconds).toISOString().replace(/\D/g, '');
	return tlv(0x17, Buffer.from(`${digits.slice(2, 14)}Z`));
};

export function extension(id: string, critical: boolean, value: Uint8Array): Buffer {
	return sequence(oid(id), ...(critical ? [TRUE] : []), tlv(0x04, value));
}

/** A name in a SubjectAltName or a constraint; `uri` may hold any bytes. */
export const uri = (text: string): Buffer => tlv(0x86, Buffer.from(text, 'latin1'));
export const dns = (text: string): Buffer => tlv(0x82, Buffer.from(text));
export const ip = (hex: string): Buffer => tlv(0x87, Buffer.from(hex, 'hex'));
export const email = (text: string): Buffer => tlv(0x81, Buffer.from(text));

export const san = (names: readonly Uint8Array[], critical = false): Buffer =>
	extension('2.5.29.17', critical, sequence(...names));

/** Bits by their number in RFC 5280 §4.2.1.3. */
export function usage(bits: readonly number[], critical = true): Buffer {
	const highest = Math.max(-1, ...bits);
	const octets = Buffer.alloc(Math.floor((highest + 8) / 8));
	for (const bit of bits) octets[bit >> 3] = (octets[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
	return extension('2.5.29.15', critical, tlv(0x03, bytes(highest < 0 ? 0 : 7 - (highest & 7)), octets));
}

export const PURPOSE = {
	serverAuth: '1.3.6.1.5.5.7.3.1',
	clientAuth: '1.3.6.1.5.5.7.3.2',
	codeSigning: '1.3.6.1.5.5.7.3.3',
	emailProtection: '1.3.6.1.5.5.7.3.4',
	timeStamping: '1.3.6.1.5.5.7.3.8',
	ocspSigning: '1.3.6.1.5.5.7.3.9',
	any: '2.5.29.37.0',
} as const;

export const purposes = (ids: readonly string[], critical = false): Buffer =>
	extension('2.5.29.37', critical, sequence(...ids.map(oid)));

export const constraints = (ca: boolean, pathLength?: number, critical = true): Buffer =>
	extension(
		'2.5.29.19',
		critical,
		sequence(...(ca ? [TRUE] : []), ...(pathLength === undefined ? [] : [integer(pathLength)])),
	);

export const nameConstraints = (permitted: readonly Uint8Array[], excluded: readonly Uint8Array[] = []): Buffer => {
	const trees = (tag: number, names: readonly Uint8Array[]): Buffer[] =>
		names.length === 0 ? [] : [tlv(tag, ...names.map(one => sequence(one)))];
	return extension('2.5.29.30', true, sequence(...trees(0xa0, permitted), ...trees(0xa1, excluded)));
};

export const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));

/** Extensions of a good leaf. */
export interface LeafParts {
	readonly constraints?: Uint8Array | null;
	readonly usage?: Uint8Array | null;
	readonly purposes?: Uint8Array | null;
	readonly san?: Uint8Array | null;
	readonly more?: readonly Uint8Array[];
}

const kept = <Part>(part: Part | null | undefined, good: Part): Part[] =>
	part === undefined ? [good] : part === null ? [] : [part];

export const leafExtensions = (parts: LeafParts = {}): Uint8Array[] => [
	...kept(parts.constraints, constraints(false)),
	...kept(parts.usage, usage([0])),
	...kept(parts.purposes, purposes([PURPOSE.serverAuth, PURPOSE.clientAuth])),
	...kept(parts.san, san([uri(AGENT)])),
	...(parts.more ?? []),
];

/** Extensions of a good issuing CA. */
export interface CaParts {
	readonly constraints?: Uint8Array | null;
	readonly usage?: Uint8Array | null;
	readonly more?: readonly Uint8Array[];
}

export const caExtensions = (parts: CaParts = {}): Uint8Array[] => [
	...kept(parts.constraints, constraints(true)),
	...kept(parts.usage, usage([5, 6])),
	...(parts.more ?? []),
];

export interface Draft {
	/** Who signs. Itself when absent. */
	readonly issuer?: Made;
	/** DER of the names; the issuer's own and `leaf` when absent. */
	readonly issuerName?: Uint8Array;
	readonly subject?: Uint8Array;
	/** The whole `[0] version`; null for none. */
	readonly version?: Uint8Array | null;
	readonly serial?: Uint8Array;
	readonly notBefore?: Uint8Array;
	readonly notAfter?: Uint8Array;
	/** Of the subject; a shared key on P-256 when absent. */
	readonly key?: KeyObject;
	/** Instead of the public half of `key`. */
	readonly spki?: Uint8Array;
	readonly extensions?: readonly Uint8Array[] | null;
	/** Instead of the list of extensions with its tag. */
	readonly rawExtensions?: Uint8Array;
	/** The algorithm in the signed part, and beside the signature. */
	readonly algorithm?: Uint8Array;
	readonly outerAlgorithm?: Uint8Array;
	readonly digest?: string;
	/** Instead of a good signature. */
	readonly signature?: (tbs: Buffer) => Uint8Array;
	/** At the end of the signed part. */
	readonly after?: Uint8Array;
}

export interface Made extends Minted {
	readonly subject: Buffer;
}

/** Keys are dear and prove nothing here: one for every leaf, one for every CA. */
export const LEAF_KEY = newKey();
export const CA_KEY = newKey();

let serials = 0x40_0000;

export function forge(draft: Draft = {}): Made {
	const key = draft.key ?? LEAF_KEY;
	const subject = Buffer.from(draft.subject ?? name('leaf'));
	const algorithm = draft.algorithm ?? ECDSA_SHA256;
	const extensions = draft.extensions === null ? undefined : (draft.extensions ?? leafExtensions());
	serials++;
	const tbs = sequence(
		...(draft.version === null ? [] : [draft.version ?? tlv(0xa0, integer(2))]),
		draft.serial ?? integer(0x40, (serials >> 16) & 0xff, (serials >> 8) & 0xff, serials & 0xff),
		algorithm,
		draft.issuerName ?? draft.issuer?.subject ?? subject,
		sequence(draft.notBefore ?? utcTime(NOW - HOUR), draft.notAfter ?? utcTime(NOW + HOUR)),
		subject,
		draft.spki ?? createPublicKey(key).export({ type: 'spki', format: 'der' }),
		...(draft.rawExtensions === undefined
			? extensions === undefined
				? []
				: [tlv(0xa3, sequence(...extensions))]
			: [draft.rawExtensions]),
		...(draft.after === undefined ? [] : [draft.after]),
	);
	const digest = draft.digest ?? 'sha256';
	const signature = draft.signature?.(tbs) ?? sign(digest, tbs, draft.issuer?.key ?? key);
	const certificate = sequence(tbs, draft.outerAlgorithm ?? algorithm, tlv(0x03, bytes(0), signature));
	return { certificate, key, subject };
}

/** A CA; the root of the trust domain when nothing is said. */
export const ca = (draft: Draft = {}): Made =>
	forge({
		key: CA_KEY,
		subject: name('root'),
		extensions: caExtensions(),
		notBefore: utcTime(NOW - 24 * HOUR),
		notAfter: utcTime(NOW + 24 * HOUR),
		...draft,
	});

/** Names under which upstreams are reached, for good certificates. */
export const LOOPBACK = LOOPBACK_NAMES.map(({ kind, value }) => (kind === 'dns' ? dns(value) : ip(value)));

/** One broken certificate, with the chain that comes with it. */
export interface Case {
	/** The rule that it breaks, as the reference has it. */
	readonly rule: string;
	/** In which way. */
	readonly way: string;
	/** DER, the leaf first. */
	readonly chain: readonly Buffer[];
	/** The leaf's private key, where it can be shown in a handshake. */
	readonly key: KeyObject | undefined;
	readonly cause: 'identity_invalid' | 'identity_expired';
	/** What the refusal says. */
	readonly detail: RegExp;
}

export const ROOT = ca();

export interface CaseOptions {
	readonly cause?: Case['cause'];
	/** After the leaf. */
	readonly with?: readonly Made[];
	/** It cannot be shown: its key is not ours, or nobody can read it. */
	readonly unshown?: true;
}

/** A case of a leaf under the root. */
export function leafCase(rule: string, way: string, draft: Draft, detail: RegExp, options: CaseOptions = {}): Case {
	const made = forge({ issuer: ROOT, ...draft });
	return chainCase(rule, way, [made, ...(options.with ?? [])], detail, options);
}

export function chainCase(
	rule: string,
	way: string,
	chain: readonly Made[],
	detail: RegExp,
	options: CaseOptions = {},
): Case {
	return {
		rule,
		way,
		chain: chain.map(({ certificate }) => certificate),
		key: options.unshown === true ? undefined : chain[0]?.key,
		cause: options.cause ?? 'identity_invalid',
		detail,
	};
}
