import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';

/** SCRAM-SHA-256 as a client, without channel binding (RFC 5802, RFC 7677). */

/** RFC 7677 §4: at least 4096. A lower count would make a caught proof cheap to try passwords on. */
const MIN_ITERATIONS = 4096;
/** About half a second of one thread: an upstream may not ask for more. */
const MAX_ITERATIONS = 1_000_000;
const MAX_SALT = 1024;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The client does not support channel binding: TLS ends here, on both sides. */
const GS2_HEADER = 'n,,';

export interface ClientFirst {
	readonly nonce: string;
	/** The bare message, part of what is signed. */
	readonly bare: string;
	readonly message: string;
}

export function clientFirst(nonce: string = randomBytes(18).toString('base64')): ClientFirst {
	// Postgres takes the user from the start-up message and ignores this one.
	const bare = `n=,r=${nonce}`;
	return { nonce, bare, message: GS2_HEADER + bare };
}

export interface ServerFirst {
	readonly text: string;
	readonly nonce: string;
	readonly salt: Buffer;
	readonly iterations: number;
}

/** Reads `r=…,s=…,i=…`; a text says what is wrong. */
export function readServerFirst(text: string, first: ClientFirst): ServerFirst | string {
	const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([^,]+),i=([1-9][0-9]{0,9})(?:,.*)?$/.exec(text);
	const [, nonce = '', salt = '', count = ''] = match ?? [];
	if (match === null) return 'malformed challenge';
	if (!nonce.startsWith(first.nonce) || nonce.length === first.nonce.length) return 'nonce of the challenge';
	if (!BASE64.test(salt) || salt.length > MAX_SALT) return 'salt of the challenge';
	const iterations = Number(count);
	if (iterations < MIN_ITERATIONS) return `fewer than ${MIN_ITERATIONS} iterations`;
	if (iterations > MAX_ITERATIONS) return `more than ${MAX_ITERATIONS} iterations`;
	return { text, nonce, salt: Buffer.from(salt, 'base64'), iterations };
}

export interface ClientFinal {
	readonly message: string;
	/** What the server must show to prove that it knows the password too. */
	readonly serverSignature: Buffer;
}

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** The long part: the key derivation runs in the thread pool. */
export function clientFinal(password: string, first: ClientFirst, server: ServerFirst): Promise<ClientFinal> {
	return new Promise((resolve, reject) => {
		pbkdf2(saslprep(password), server.salt, server.iterations, 32, 'sha256', (error, salted) => {
			if (error !== null) {
				reject(error);
				return;
			}
			const withoutProof = `c=${Buffer.from(GS2_HEADER).toString('base64')},r=${server.nonce}`;
			const signed = `${first.bare},${server.text},${withoutProof}`;
			const clientKey = hmac(salted, 'Client Key');
			const proof = hmac(createHash('sha256').update(clientKey).digest(), signed);
			for (let at = 0; at < proof.length; at++) proof[at] = (proof[at] ?? 0) ^ (clientKey[at] ?? 0);
			resolve({
				message: `${withoutProof},p=${proof.toString('base64')}`,
				serverSignature: hmac(hmac(salted, 'Server Key'), signed),
			});
		});
	});
}

/** Whether the server's last message, `v=…`, shows the signature that was expected. */
export function serverIsGenuine(text: string, final: ClientFinal): boolean {
	const match = /^v=([A-Za-z0-9+/=]+)(?:,.*)?$/.exec(text);
	if (match === null || !BASE64.test(match[1] ?? '')) return false;
	const shown = Buffer.from(match[1] ?? '', 'base64');
	return shown.length === final.serverSignature.length && timingSafeEqual(shown, final.serverSignature);
}

/**
 * SASLprep (RFC 4013) as Postgres does it: a password with characters that are not allowed is used as it is.
 */
export function saslprep(password: string): string {
	if (/^[\x20-\x7e]*$/.test(password)) return password;
	const mapped = password
		.replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
		.replace(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g, '')
		.normalize('NFKC');
	const prohibited =
		/\p{Cc}|\p{Co}|\p{Cs}|\p{Cn}|[\u06dd\u070f\u180e\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2063\u206a-\u206f\u2ff0-\u2ffb\ufff9-\ufffd]/u;
	const rightToLeft = /\p{Script=Hebrew}|\p{Script=Arabic}|\p{Script=Syriac}|\p{Script=Thaana}/u;
	const bidiBroken =
		rightToLeft.test(mapped) &&
		(/\p{Script=Latin}|\p{Script=Greek}|\p{Script=Cyrillic}/u.test(mapped) ||
			!rightToLeft.test([...mapped].at(0) ?? '') ||
			!rightToLeft.test([...mapped].at(-1) ?? ''));
	return mapped === '' || prohibited.test(mapped) || bidiBroken ? password : mapped;
}
