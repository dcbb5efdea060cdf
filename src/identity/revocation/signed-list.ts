import { sign, verify } from 'node:crypto';
import { scanJson } from '../../formats/json.ts';
import type { Broken } from '../trust.ts';
import { type Revocation, readRevocation, readTime, revocationJson } from './entry.ts';
import type { ListKey } from './list-key.ts';
import { limitProblem } from './local.ts';

/**
 * The list that a fleet follows: a JWS in its compact form (RFC 7515 §7.1), `typ` being `sallyport-revocations`, over
 * `{"version":1,"sequence":N,"issued":TIME,"revocations":[…]}`. Any JOSE library can make one.
 */
export interface FleetList {
	/** Grows with every list: an older one is never taken again. */
	readonly sequence: number;
	/** Milliseconds since the epoch. */
	readonly issued: number;
	readonly revocations: readonly Revocation[];
}

/** Greatest list, bytes; room for some 25,000 exact ids, of which 10,000 are taken. */
export const MAX_LIST = 4 * 1024 * 1024;
const TYPE = 'sallyport-revocations';
const VERSION = 1;
const MAX_HEADER = 1024;
const HASHES: Readonly<Record<ListKey['algorithm'], string | null>> = {
	EdDSA: null,
	ES256: 'sha256',
	ES384: 'sha384',
	RS256: 'sha256',
};
const HEADER: ReadonlySet<string> = new Set(['alg', 'kid', 'typ']);
const PAYLOAD: ReadonlySet<string> = new Set(['version', 'sequence', 'issued', 'revocations']);

/** The text of a list, one line. */
export function signList({ sequence, issued, revocations }: FleetList, { key, algorithm, id }: ListKey): string {
	const header = { alg: algorithm, kid: id, typ: TYPE };
	const payload = {
		version: VERSION,
		sequence,
		issued: new Date(issued).toISOString(),
		revocations: revocations.map(revocationJson),
	};
	const signed = `${encoded(header)}.${encoded(payload)}`;
	const signature = sign(HASHES[algorithm], Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
	return `${signed}.${signature.toString('base64url')}\n`;
}

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Reads a list that one of the keys signed. Nothing of it is looked at before the signature is good, but which key it names. */
export function readList(bytes: Buffer, keys: readonly ListKey[]): (FleetList & { readonly key: string }) | Broken {
	if (bytes.length > MAX_LIST) return { broken: 'it is larger than 4 MiB' };
	const parts = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\s*$/.exec(bytes.toString('latin1'));
	const [, head = '', body = '', signature = ''] = parts ?? [];
	if (parts === null || head.length > MAX_HEADER) return { broken: 'it is no signed list (a JWS in its compact form)' };
	const header = members(Buffer.from(head, 'base64url'));
	if (header === undefined || header['typ'] !== TYPE) return { broken: `it is no signed list (typ ${TYPE})` };
	// `crit` above all: an extension that must be understood is not.
	const odd = Object.keys(header).find(name => !HEADER.has(name));
	if (odd !== undefined) return { broken: 'its header has a member that is not known' };
	const key = keys.find(({ id }) => id === header['kid']) ?? (header['kid'] === undefined ? onlyOne(keys) : undefined);
	if (key === undefined) return { broken: 'it is signed with a key that is not in `verify_key`' };
	if (header['alg'] !== key.algorithm) return { broken: `its algorithm is not that of the key (${key.algorithm})` };
	const good = verify(
		HASHES[key.algorithm],
		Buffer.from(`${head}.${body}`),
		{ key: key.key, dsaEncoding: 'ieee-p1363' },
		Buffer.from(signature, 'base64url'),
	);
	if (!good) return { broken: 'its signature is not good' };
	const list = readPayload(Buffer.from(body, 'base64url'));
	return 'broken' in list ? list : { ...list, key: key.id };
}

/** Who signs with another library may leave `kid` out. */
const onlyOne = (keys: readonly ListKey[]): ListKey | undefined => (keys.length === 1 ? keys[0] : undefined);

function readPayload(bytes: Buffer): FleetList | Broken {
	const payload = members(bytes);
	if (payload === undefined) return { broken: 'what is signed is no JSON object' };
	const { version, sequence, issued, revocations } = payload;
	if (version !== VERSION) return { broken: `it has another version than ${VERSION}` };
	if (Object.keys(payload).some(name => !PAYLOAD.has(name))) return { broken: 'it has a member that is not known' };
	if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 0)
		return { broken: 'its sequence is no whole number' };
	const time = readTime(issued);
	if (time === undefined) return { broken: '`issued` is no time in RFC 3339, UTC' };
	if (!Array.isArray(revocations)) return { broken: 'it has no list `revocations`' };
	const read: Revocation[] = [];
	for (const [index, value] of revocations.entries()) {
		const entry = readRevocation(value);
		if ('broken' in entry) return { broken: `revocation ${index + 1}: ${entry.broken}` };
		read.push(entry);
	}
	const problem = limitProblem(read);
	return problem === undefined ? { sequence, issued: time, revocations: read } : { broken: problem };
}

function members(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
	if (scanJson(bytes, { depth: 8, bytes: MAX_LIST }) !== undefined) return undefined;
	const value: unknown = JSON.parse(bytes.toString('utf8'));
	return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}
