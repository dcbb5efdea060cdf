import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../digest.ts';

/** The last good download of a bundle, kept for a start without its server. */
export interface Download {
	readonly archive: Buffer;
	/** As the server tagged it. */
	readonly etag?: string;
	/** Milliseconds since the epoch. */
	readonly downloaded: number;
}

/** Below `policy.keep`: `downloaded/NAME.tar.gz`, and beside it what is known of it. */
export class KeptDownload {
	readonly #folder: string;
	readonly #name: string;
	readonly #url: string;

	constructor(keep: string, name: string, url: string) {
		this.#folder = join(keep, 'downloaded');
		this.#name = name;
		this.#url = url;
	}

	/** Undefined when there is none, or none of this URL. Rejects when it cannot be read. */
	async load(): Promise<Download | undefined> {
		let archive: Buffer;
		let facts: Facts | undefined;
		try {
			archive = await readFile(this.#path('tar.gz'));
			facts = factsOf(await readFile(this.#path('json'), 'utf8'));
		} catch (error) {
			if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
			throw error;
		}
		// A power cut between the two files, or another server: what it is, is not known.
		if (facts === undefined || facts.sha256 !== sha256(archive) || facts.url !== this.#url) return undefined;
		const { downloaded, etag } = facts;
		return { archive, downloaded, ...(etag === undefined ? {} : { etag }) };
	}

	/** `digest` is the SHA-256 of the archive, which is written anew only when asked to: a server may give the same one another tag. */
	async save(
		{ archive, digest, etag, downloaded }: Download & { readonly digest: string },
		anew: boolean,
	): Promise<void> {
		await mkdir(this.#folder, { recursive: true, mode: 0o700 });
		if (anew) await replace(this.#path('tar.gz'), archive);
		const facts = { url: this.#url, sha256: digest, downloaded, ...(etag === undefined ? {} : { etag }) };
		await replace(this.#path('json'), Buffer.from(`${JSON.stringify(facts)}\n`));
	}

	#path(ending: string): string {
		return join(this.#folder, `${this.#name}.${ending}`);
	}
}

interface Facts {
	readonly url: string;
	readonly sha256: string;
	readonly downloaded: number;
	readonly etag?: string;
}

function factsOf(text: string): Facts | undefined {
	try {
		const value: unknown = JSON.parse(text);
		if (typeof value !== 'object' || value === null) return undefined;
		const { url, sha256, downloaded, etag }: Readonly<Record<string, unknown>> = { ...value };
		if (typeof url !== 'string' || typeof sha256 !== 'string' || typeof downloaded !== 'number') return undefined;
		return { url, sha256, downloaded, ...(typeof etag === 'string' ? { etag } : {}) };
	} catch {
		return undefined;
	}
}

/** The old file or the new one, whole, whatever happens. */
async function replace(path: string, bytes: Buffer): Promise<void> {
	const half = `${path}.${process.pid}.part`;
	const file = await open(half, 'w', 0o600);
	try {
		await file.writeFile(bytes);
		await file.sync();
	} finally {
		await file.close();
	}
	await rename(half, path);
}
