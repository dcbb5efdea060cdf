import { readFile } from 'node:fs/promises';
import type { Client } from 'undici';
import type { RemoteConfig } from '../../../config/sinks.ts';
import { type Answer, AnswerReader } from '../../../transfer/answer.ts';
import { connectorOf } from '../../../transfer/connector.ts';
import { codeOf } from '../../io.ts';
import type { RemoteDeps } from '../sink.ts';
import { type Sent, Untaken } from './sent.ts';

/** Greatest answer that is read; what is longer ends the connection. */
const MAX_ANSWER = 64 * 1024;
/** Longest pause that a server may ask for, milliseconds. */
const LONGEST_PAUSE = 300_000;
const IDLE = 30_000;

/** Answers that are about what is in a body. Every other one is about the sink, or the way to it. */
const ABOUT_THE_BODY: ReadonlySet<number> = new Set([400, 413, 422]);

/** What became of a body with so many records. Throws {@link Untaken} for what is tried again. */
export function judge({ status, fields }: Answer, count: number): Sent {
	if (status >= 200 && status < 300) return { taken: count };
	if (ABOUT_THE_BODY.has(status)) return { refused: `it answers ${status}` };
	if (status >= 300 && status < 400)
		throw new Untaken(`it redirects (${status}), which is not followed: name the other URL`);
	throw new Untaken(`it answers ${status}`, pauseOf(fields['retry-after']));
}

/** POSTs to one URL, one at a time, over one connection that is kept. Redirects are answers like others. */
export class Uploads {
	readonly #config: RemoteConfig;
	readonly #url: URL;
	readonly #deps: RemoteDeps;
	readonly #credential: (() => { readonly name: string; readonly value: string } | undefined) | undefined;
	#client: { readonly client: Client; readonly certificate: string } | undefined;
	#under: AnswerReader | undefined;
	#closed = false;

	constructor(config: RemoteConfig, deps: RemoteDeps) {
		this.#config = config;
		this.#url = new URL(config.url);
		this.#deps = deps;
		this.#credential = config.credential === undefined ? undefined : deps.credentials.field(config.credential);
	}

	/** Resolves with what was answered, whatever the status; rejects with {@link Untaken} when nothing was. */
	async post(body: Buffer, headers: Readonly<Record<string, string>>): Promise<Answer> {
		const field = this.#credential?.();
		if (this.#credential !== undefined && field === undefined) throw new Untaken('its credential has no valid value');
		const client = await this.#connected();
		if (this.#closed) throw new Untaken('it was given up');
		return new Promise((resolve, reject) => {
			const exchange = new AnswerReader({
				maxBytes: MAX_ANSWER,
				failed: 'it cannot be reached',
				over: answer => {
					clearTimeout(timer);
					this.#under = undefined;
					if ('broken' in answer) {
						this.#drop();
						reject(new Untaken(answer.broken));
					} else resolve(answer);
				},
			});
			this.#under = exchange;
			const { timeout } = this.#config;
			const timer = setTimeout(() => exchange.fail(`there was no answer within ${timeout / 1000} s`), timeout);
			const all = { ...headers, ...(field === undefined ? {} : { [field.name]: field.value }) };
			client.dispatch(
				{ method: 'POST', path: `${this.#url.pathname}${this.#url.search}`, headers: all, body },
				exchange,
			);
		});
	}

	/** What is under way is given up. */
	close(): void {
		this.#closed = true;
		this.#under?.fail('it was given up');
		this.#drop();
	}

	#drop(): void {
		const dropped = this.#client;
		this.#client = undefined;
		void dropped?.client.destroy().catch(() => {});
	}

	async #connected(): Promise<Client> {
		const svid = this.#config.present_svid ? this.#deps.svid() : undefined;
		if (this.#config.present_svid && svid === undefined) throw new Untaken('there is no SVID to show it');
		// A connection goes on under the certificate that it was opened with.
		if (this.#client !== undefined && this.#client.certificate !== (svid?.cert ?? '')) this.#drop();
		if (this.#client !== undefined) return this.#client.client;
		const { roots, timeout } = this.#config;
		let ca: string | undefined;
		try {
			if (roots !== undefined) ca = await readFile(roots, 'utf8');
		} catch (error) {
			throw new Untaken(`its roots cannot be read (${codeOf(error)})`);
		}
		const { default: UndiciClient } = await import('undici/lib/dispatcher/client.js');
		const client = new UndiciClient(this.#url.origin, {
			allowH2: false,
			maxHeaderSize: 16 * 1024,
			headersTimeout: timeout,
			bodyTimeout: timeout,
			keepAliveTimeout: IDLE,
			connect: connectorOf({ tls: this.#url.protocol === 'https:', ca, client: svid, patience: timeout }),
		});
		this.#client = { client, certificate: svid?.cert ?? '' };
		return client;
	}
}

/** For how long the server asks to be left alone, milliseconds (RFC 9110 §10.2.3): seconds, or a date. */
function pauseOf(value: string | string[] | undefined): number | undefined {
	if (typeof value !== 'string') return undefined;
	const pause = /^\d{1,6}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
	return Number.isFinite(pause) ? Math.min(LONGEST_PAUSE, Math.max(0, pause)) : undefined;
}
