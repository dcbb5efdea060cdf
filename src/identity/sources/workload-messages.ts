import { isUtf8 } from 'node:buffer';
import { type ProtoField, protoField, readProto } from '../../formats/protobuf.ts';
import type { Broken } from '../trust.ts';

/**
 * The messages of the SPIFFE Workload API (SPIFFE_Workload_API.md §5.1, §6.1; workloadapi.proto). Fields that are not
 * known are skipped; one that may stand only once and stands twice refuses the message.
 */

export interface X509Message {
	readonly svids: readonly X509SvidMessage[];
	/** How many CRLs came. */
	readonly crls: number;
	/** DER, by the SPIFFE ID of the trust domain. */
	readonly federated: ReadonlyMap<string, Buffer>;
}

export interface X509SvidMessage {
	readonly spiffeId: string;
	/** DER certificates, leaf first. */
	readonly chain: Buffer;
	/** PKCS#8 in DER. */
	readonly key: Buffer;
	/** DER certificates. */
	readonly bundle: Buffer;
	readonly hint: string;
}

export interface JwtSvidMessage {
	readonly spiffeId: string;
	readonly token: string;
	readonly hint: string;
}

/** SVIDs, CRLs, and trust domains in one message. */
const MAX_ITEMS = 256;

export const readX509Message = (message: Buffer): X509Message | Broken =>
	reading('X509SVIDResponse', () => {
		const fields = new Fields(message);
		return {
			svids: fields.all(1).map(bytes => {
				const svid = new Fields(bytes);
				return {
					spiffeId: svid.text(1),
					chain: svid.bytes(2),
					key: svid.bytes(3),
					bundle: svid.bytes(4),
					hint: svid.text(5),
				};
			}),
			crls: fields.all(2).filter(crl => crl.length > 0).length,
			federated: fields.map(3),
		};
	});

/** JWK Sets by the SPIFFE ID of the trust domain. */
export const readJwtBundlesMessage = (message: Buffer): ReadonlyMap<string, Buffer> | Broken =>
	reading('JWTBundlesResponse', () => new Fields(message).map(1));

export const readJwtSvidsMessage = (message: Buffer): readonly JwtSvidMessage[] | Broken =>
	reading('JWTSVIDResponse', () =>
		new Fields(message).all(1).map(bytes => {
			const svid = new Fields(bytes);
			return { spiffeId: svid.text(1), token: svid.text(2), hint: svid.text(3) };
		}),
	);

/** JWTSVIDRequest for one audience and one identity. */
export const jwtSvidRequest = (audience: string, spiffeId: string): Buffer =>
	Buffer.concat([protoField(1, audience), protoField(2, spiffeId)]);

class BrokenMessage extends Error {}

/** Fields of one message by their number. */
class Fields {
	readonly #fields: readonly ProtoField[];

	constructor(message: Buffer) {
		const fields = readProto(message);
		if ('broken' in fields) throw new BrokenMessage(fields.broken);
		this.#fields = fields;
	}

	/** A repeated field. */
	all(number: number): Buffer[] {
		const found = this.#fields.filter(field => field.number === number);
		if (found.length > MAX_ITEMS) throw new BrokenMessage(`field ${number}: more than ${MAX_ITEMS} times`);
		return found.map(({ bytes }) => {
			if (bytes === undefined) throw new BrokenMessage(`field ${number}: of another type`);
			return bytes;
		});
	}

	/** A singular field; empty when it is not there, which in proto3 is the same. */
	bytes(number: number): Buffer {
		const [first, second] = this.all(number);
		if (second !== undefined) throw new BrokenMessage(`field ${number}: there twice`);
		return first ?? Buffer.alloc(0);
	}

	text(number: number): string {
		const bytes = this.bytes(number);
		if (!isUtf8(bytes)) throw new BrokenMessage(`field ${number}: not UTF-8`);
		return bytes.toString('utf8');
	}

	/** `map<string, bytes>`. */
	map(number: number): ReadonlyMap<string, Buffer> {
		const found = new Map<string, Buffer>();
		for (const bytes of this.all(number)) {
			const entry = new Fields(bytes);
			const key = entry.text(1);
			if (found.has(key)) throw new BrokenMessage(`field ${number}: a key twice`);
			found.set(key, entry.bytes(2));
		}
		return found;
	}
}

function reading<Message>(name: string, read: () => Message): Message | Broken {
	try {
		return read();
	} catch (error) {
		if (error instanceof BrokenMessage) return { broken: `${name}: ${error.message}` };
		throw error;
	}
}
