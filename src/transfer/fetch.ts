import { type Answer, AnswerReader, type Fields } from './answer.ts';
import { connectorOf } from './connector.ts';

/** What could not be had, in words without anything secret. */
export interface Broken {
	readonly broken: string;
}

/** Greatest document, where nothing else is said. */
const MAX_BYTES = 1024 * 1024;
/** For everything together, milliseconds. */
const PATIENCE = 10_000;

export interface DownloadOptions {
	/** PEM CAs that the server's certificate is judged by; the system's roots when absent. */
	readonly roots?: string;
	/** PEM of what is shown as the client certificate. */
	readonly client?: { readonly cert: string; readonly key: string };
}

export interface FetchOptions extends DownloadOptions {
	/** What is held already, as the server tagged it (RFC 9110 §13.1.2). */
	readonly etag?: string;
	/** For how long the server may hold back an answer that says nothing new, milliseconds (RFC 7240 §4.3). */
	readonly wait?: number;
	readonly accept: string;
	/** What else is preferred beside `wait` (RFC 7240), such as `modes=snapshot`. */
	readonly prefer?: string;
	/** `Authorization: Bearer`. */
	readonly bearer?: string;
	/** JSON that is sent by POST; a GET when absent. */
	readonly json?: string;
	/** For everything together but `wait`, milliseconds; 10 s when absent. */
	readonly patience?: number;
	/** Greatest body. */
	readonly maxBytes: number;
	/** Gives it up. */
	readonly signal?: AbortSignal;
}

/** What a server answered. */
export type Fetched =
	| { readonly body: Buffer; readonly etag?: string; readonly type?: string }
	/** What is held is what the server has. */
	| 'unchanged'
	| Broken;

/**
 * One GET over HTTPS with a connection of its own: the certificate must be one of the Web PKI for the host
 * (SPIFFE_Federation.md §5.2.1.4), the answer 200 and not longer than 1 MiB. Redirects are not followed: where the
 * trust of a whole domain comes from is said in the configuration and nowhere else. Never rejects.
 */
export async function download(url: URL, { roots }: DownloadOptions): Promise<Buffer | Broken> {
	const accept = 'application/json';
	const fetched = await fetchOnce(url, { accept, maxBytes: MAX_BYTES, ...(roots === undefined ? {} : { roots }) });
	if (fetched === 'unchanged') return { broken: 'the server answers 304' };
	return 'broken' in fetched ? fetched : fetched.body;
}

/** The same for what is asked for again and again, or sent. Never rejects. */
export async function fetchOnce(url: URL, options: FetchOptions): Promise<Fetched> {
	const { etag, wait = 0, accept, prefer, bearer, json, maxBytes, signal } = options;
	const patience = (options.patience ?? PATIENCE) + wait;
	// Most sidecars fetch nothing.
	const { default: UndiciClient } = await import('undici/lib/dispatcher/client.js');
	const client = new UndiciClient(url.origin, {
		allowH2: false,
		maxHeaderSize: 16 * 1024,
		headersTimeout: patience,
		bodyTimeout: patience,
		connect: connectorOf({ tls: true, ca: options.roots, client: options.client, patience: PATIENCE }),
	});
	return new Promise<Fetched>(resolve => {
		const reader = new AnswerReader({
			maxBytes,
			unwanted: (status, fields) => unwanted(status, fields, json !== undefined),
			failed: 'it could not be fetched',
			over(answer) {
				clearTimeout(timer);
				signal?.removeEventListener('abort', given);
				void client.destroy().catch(() => {});
				resolve('broken' in answer ? answer : fetched(answer));
			},
		});
		const timer = setTimeout(() => reader.fail(`there was no answer within ${patience / 1000} s`), patience);
		const given = (): void => reader.fail('it was given up');
		if (signal?.aborted === true) {
			given();
			return;
		}
		signal?.addEventListener('abort', given, { once: true });
		const path = `${url.pathname}${url.search}`;
		const preferred = [
			...(prefer === undefined ? [] : [prefer]),
			...(wait === 0 ? [] : [`wait=${Math.floor(wait / 1000)}`]),
		];
		const headers = {
			accept,
			...(etag === undefined ? {} : { 'if-none-match': etag }),
			...(preferred.length === 0 ? {} : { prefer: preferred.join(';') }),
			...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
			...(json === undefined ? {} : { 'content-type': 'application/json' }),
		};
		const sent = json === undefined ? ({ method: 'GET' } as const) : ({ method: 'POST', body: json } as const);
		client.dispatch({ ...sent, path, headers, blocking: false }, reader);
	});
}

function unwanted(status: number, fields: Fields, posted: boolean): string | undefined {
	if (status === 304) return undefined;
	if (status >= 300 && status < 400)
		return `the server redirects (${status}), which is not followed: name the other URL`;
	if (status > 299 || (status !== 200 && !posted)) return `the server answers ${status}`;
	if ((fields['content-encoding'] ?? 'identity') !== 'identity')
		return 'the answer is encoded, which was not asked for';
	return undefined;
}

function fetched({ status, fields, body }: Answer): Fetched {
	if (status === 304) return 'unchanged';
	const { etag, 'content-type': type } = fields;
	return {
		body,
		...(typeof etag === 'string' && /^(W\/)?"[\x21\x23-\x7e]{0,255}"$/.test(etag) ? { etag } : {}),
		...(typeof type === 'string' ? { type: type.toLowerCase().split(';')[0]?.trim() ?? '' } : {}),
	};
}
