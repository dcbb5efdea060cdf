import { createHash } from 'node:crypto';
import { type Refused, refused } from '../../model/cause.ts';
import type { Credential } from '../contract.ts';
import {
	AUTH_CLEARTEXT,
	AUTH_MD5,
	AUTH_OK,
	AUTH_SASL,
	AUTH_SASL_CONTINUE,
	AUTH_SASL_FINAL,
	cstring,
	frame,
	int32,
	PASSWORD,
} from './messages.ts';
import {
	type ClientFinal,
	type ClientFirst,
	clientFinal,
	clientFirst,
	readServerFirst,
	serverIsGenuine,
} from './scram.ts';

export type AuthStep =
	| { readonly kind: 'send'; readonly data: Buffer }
	| { readonly kind: 'compute'; readonly run: () => Promise<unknown> }
	/** The upstream is satisfied, and has proved itself where the method has a proof. */
	| { readonly kind: 'ok' }
	| { readonly kind: 'more' }
	| { readonly kind: 'refuse'; readonly refused: Refused };

const MORE: AuthStep = { kind: 'more' };
const refuse = (detail: string): AuthStep => ({ kind: 'refuse', refused: refused('upstream_unreachable', detail) });

const md5 = (...parts: readonly (Buffer | string)[]): string => {
	const hash = createHash('md5');
	for (const part of parts) hash.update(part);
	return hash.digest('hex');
};

/** Names in an AuthenticationSASL message. */
export function mechanisms(body: Buffer): readonly string[] {
	const names: string[] = [];
	let at = 4;
	while (at < body.length && body[at] !== 0) {
		const end = body.indexOf(0, at);
		if (end === -1) break;
		names.push(body.toString('latin1', at, end));
		at = end + 1;
	}
	return names;
}

/**
 * Authenticates Sallyport at the upstream with a credential of its own: SCRAM-SHA-256, MD5, and a clear-text
 * password where TLS hides it. Without a credential only an upstream that asks for nothing will do.
 */
export class UpstreamAuth {
	readonly #credential: Credential | undefined;
	readonly #tls: boolean;
	#first: ClientFirst | undefined;
	#final: ClientFinal | undefined;
	/** `scram` until the server's signature was right, then `done`; one exchange at most. */
	#state: 'none' | 'password' | 'first' | 'computing' | 'final' | 'done' = 'none';

	constructor(credential: Credential | undefined, tls: boolean) {
		this.#credential = credential;
		this.#tls = tls;
	}

	/** One Authentication message of the upstream. */
	on(body: Buffer): AuthStep {
		if (body.length < 4) return refuse('the upstream sent a malformed authentication message');
		const kind = body.readUInt32BE(0);
		if (kind === AUTH_OK) {
			const finished = this.#state === 'none' || this.#state === 'password' || this.#state === 'done';
			return finished ? { kind: 'ok' } : refuse('the upstream ended SCRAM before it proved itself');
		}
		const credential = this.#credential;
		if (credential === undefined) {
			return {
				kind: 'refuse',
				refused: refused(
					'no_credential',
					'the upstream asks for a password, and Sallyport holds none: add `credentials`',
				),
			};
		}
		switch (kind) {
			case AUTH_CLEARTEXT:
				if (this.#state !== 'none') break;
				if (!this.#tls) return refuse('the upstream asks for the password in clear text, and there is no TLS');
				this.#state = 'password';
				return { kind: 'send', data: frame(PASSWORD, cstring(credential.password)) };
			case AUTH_MD5:
				if (this.#state !== 'none' || body.length !== 8) break;
				this.#state = 'password';
				return this.#md5(credential, body.subarray(4, 8));
			case AUTH_SASL:
				if (this.#state !== 'none') break;
				return this.#begin(body);
			case AUTH_SASL_CONTINUE:
				if (this.#state !== 'first') break;
				return this.#continue(credential, body.toString('utf8', 4));
			case AUTH_SASL_FINAL:
				if (this.#state !== 'final' || this.#final === undefined) break;
				if (!serverIsGenuine(body.toString('utf8', 4), this.#final)) {
					return refuse('the upstream does not know the password it asked for');
				}
				this.#state = 'done';
				return MORE;
			default:
				return refuse(`the upstream asks for authentication method ${kind}, which is not supported`);
		}
		return refuse('the upstream sent an authentication message out of turn');
	}

	/** The result of a `compute`. */
	computed(result: unknown): AuthStep {
		if (this.#state !== 'computing' || !isClientFinal(result)) return refuse('authentication out of turn');
		this.#state = 'final';
		this.#final = result;
		return { kind: 'send', data: frame(PASSWORD, Buffer.from(result.message, 'utf8')) };
	}

	#md5({ username, password }: Credential, salt: Buffer): AuthStep {
		try {
			const text = `md5${md5(md5(password, username), salt)}`;
			return { kind: 'send', data: frame(PASSWORD, cstring(text)) };
		} catch {
			// OpenSSL in FIPS mode has no MD5.
			return refuse('the upstream asks for an MD5 password, and MD5 is not available here');
		}
	}

	#begin(body: Buffer): AuthStep {
		if (!mechanisms(body).includes('SCRAM-SHA-256')) return refuse('the upstream does not offer SCRAM-SHA-256');
		this.#first = clientFirst();
		this.#state = 'first';
		const message = Buffer.from(this.#first.message, 'utf8');
		return { kind: 'send', data: frame(PASSWORD, cstring('SCRAM-SHA-256'), int32(message.length), message) };
	}

	#continue(credential: Credential, text: string): AuthStep {
		const first = this.#first;
		if (first === undefined) return refuse('authentication out of turn');
		const server = readServerFirst(text, first);
		if (typeof server === 'string') return refuse(`SCRAM with the upstream: ${server}`);
		this.#state = 'computing';
		return { kind: 'compute', run: () => clientFinal(credential.password, first, server) };
	}
}

const isClientFinal = (value: unknown): value is ClientFinal =>
	typeof value === 'object' && value !== null && 'message' in value && 'serverSignature' in value;
