import { type Watch, watchFiles } from '../../config/watch.ts';
import { readJwtBundle } from '../bundles/document.ts';
import type { When } from '../path.ts';
import { readBytes } from '../read-file.ts';
import { openSvid, type Svid } from '../svid.ts';
import type { Broken, JwtAuthorities } from '../trust.ts';
import type { JwtSvid, SourceNews, SourceState, SourceStatus, SvidSource } from './source.ts';

export interface SvidPaths {
	readonly certificate: string;
	readonly key: string;
	readonly trust_bundle: string;
	readonly jwt_bundle?: string | undefined;
}

export interface SvidFilesDeps {
	readonly trustDomain: string;
	when(): When;
	readonly news: SourceNews;
}

interface Reading {
	readonly svid: Svid;
	readonly jwt: JwtAuthorities | undefined;
}

/** The SVID from files, which are watched; the three or four are read as one. */
export class SvidFiles implements SvidSource {
	readonly #paths: SvidPaths;
	readonly #deps: SvidFilesDeps;
	#held: Reading | undefined;
	#turn: Promise<unknown> = Promise.resolve();
	#watch: Watch | undefined;

	constructor(paths: SvidPaths, deps: SvidFilesDeps) {
		this.#paths = paths;
		this.#deps = deps;
	}

	/** Rejects when there is no valid SVID: files are there at the start, or something is wrong. */
	async start(): Promise<void> {
		const { certificate, key, trust_bundle, jwt_bundle } = this.#paths;
		const paths = [certificate, key, trust_bundle, ...(jwt_bundle === undefined ? [] : [jwt_bundle])];
		// Watched first and read then, so that no change falls between.
		this.#watch = await watchFiles(paths, () => void this.reload());
		const read = await this.#read();
		if ('broken' in read) throw new Error(`identity: ${read.broken}`);
		this.#held = read;
	}

	state(): SourceState {
		return { svid: this.#held?.svid, federated: [] };
	}

	status(): SourceStatus {
		return { kind: 'files', from: this.#paths.certificate };
	}

	jwtAuthorities(trustDomain: string): JwtAuthorities | undefined {
		return trustDomain === this.#deps.trustDomain ? this.#held?.jwt : undefined;
	}

	async jwtSvid(): Promise<JwtSvid | Broken> {
		return { broken: 'JWT-SVIDs come from the Workload API, and the SVID comes from files' };
	}

	reload(): Promise<Broken | undefined> {
		// One after the other: an older reading must not be installed over a newer one.
		const turn = this.#turn.then(() => this.#look());
		this.#turn = turn;
		return turn;
	}

	close(): void {
		this.#watch?.close();
	}

	async #look(): Promise<Broken | undefined> {
		const read = await this.#read();
		if ('broken' in read) {
			this.#deps.news(read.broken);
			return read;
		}
		this.#held = read;
		return this.#deps.news(undefined);
	}

	/** What is read may be of two generations; it then does not fit together. */
	async #read(): Promise<Reading | Broken> {
		const { certificate, key, trust_bundle, jwt_bundle } = this.#paths;
		const [pem, keyPem, anchors] = await Promise.all([readText(certificate), readText(key), readText(trust_bundle)]);
		if (typeof pem !== 'string') return pem;
		if (typeof keyPem !== 'string') return keyPem;
		if (typeof anchors !== 'string') return anchors;
		const material = { certificate: pem, key: keyPem, trustBundle: anchors };
		const svid = openSvid(material, this.#deps.trustDomain, this.#deps.when());
		if ('broken' in svid) return svid;
		if (jwt_bundle === undefined) return { svid, jwt: undefined };
		const bytes = await readBytes(jwt_bundle);
		if ('broken' in bytes) return bytes;
		const jwt = readJwtBundle(bytes);
		return 'broken' in jwt ? { broken: `JWT bundle: ${jwt.broken}` } : { svid, jwt };
	}
}

async function readText(path: string): Promise<string | Broken> {
	const bytes = await readBytes(path);
	return 'broken' in bytes ? bytes : bytes.toString('utf8');
}
