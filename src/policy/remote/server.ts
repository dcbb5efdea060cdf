import { readFile } from 'node:fs/promises';
import type { Secret } from '../../config/credential.ts';
import type { Broken, Fetched, FetchOptions } from '../../transfer/fetch.ts';
import { fetchOnce } from '../../transfer/fetch.ts';

/** What Sallyport shows servers of policy. app.ts has it. */
export interface ServerAccess {
	/** Opens a token that may change; `current` is undefined while there is none that is valid. */
	bearer(secret: Secret): Promise<{ current(): string | undefined }>;
	/** PEM of the SVID; undefined while there is none. */
	client(): { readonly cert: string; readonly key: string } | undefined;
}

export interface ServerConfig {
	readonly url: string;
	readonly roots?: string | undefined;
	readonly bearer?: Secret | undefined;
	readonly present_svid?: boolean | undefined;
	/** Milliseconds. */
	readonly timeout?: number | undefined;
}

const TIMEOUT = 30_000;

type Asked = Omit<FetchOptions, 'bearer' | 'roots' | 'client' | 'patience'>;

/** One server, met as its configuration says. */
export class Server {
	readonly #config: ServerConfig;
	readonly #access: ServerAccess | undefined;
	readonly #url: URL;
	#bearer: { current(): string | undefined } | undefined;

	constructor(config: ServerConfig, access: ServerAccess | undefined) {
		this.#config = config;
		this.#access = access;
		this.#url = new URL(config.url);
	}

	/** Looks for what it is shown. */
	async open(): Promise<void> {
		const { bearer } = this.#config;
		if (bearer !== undefined) this.#bearer = await this.#access?.bearer(bearer);
	}

	/** Never rejects. Nothing is sent while what must be shown is not there. */
	async fetch(asked: Asked): Promise<Fetched> {
		const shown = await this.#shown();
		return 'broken' in shown ? shown : await fetchOnce(this.#url, { ...asked, ...shown });
	}

	async #shown(): Promise<Pick<FetchOptions, 'bearer' | 'roots' | 'client' | 'patience'> | Broken> {
		const { roots, bearer, present_svid: svid = false, timeout = TIMEOUT } = this.#config;
		const token = this.#bearer?.current();
		if (bearer !== undefined && token === undefined) return { broken: 'there is no valid token to show the server' };
		const client = svid ? this.#access?.client() : undefined;
		if (svid && client === undefined) return { broken: 'there is no SVID to show the server' };
		try {
			return {
				patience: timeout,
				...(roots === undefined ? {} : { roots: await readFile(roots, 'utf8') }),
				...(token === undefined ? {} : { bearer: token }),
				...(client === undefined ? {} : { client }),
			};
		} catch (error) {
			const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
			return { broken: `${roots} cannot be read: ${code}` };
		}
	}
}
