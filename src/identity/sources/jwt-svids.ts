import type { Clock } from '../../model/ports.ts';
import type { Broken } from '../trust.ts';
import type { JwtSvid } from './source.ts';
import type { WorkloadClient } from './workload-client.ts';
import { jwtSvidRequest, readJwtSvidsMessage } from './workload-messages.ts';

export interface JwtSvidsDeps {
	readonly client: Pick<WorkloadClient, 'call'>;
	readonly clock: Clock;
	/** The SPIFFE ID in force; without one nothing is asked for. */
	spiffeId(): string | undefined;
}

interface Kept extends JwtSvid {
	/** From then on another is fetched, milliseconds since the epoch. */
	readonly renew: number;
}

/** Audiences that are remembered. */
const MAX_AUDIENCES = 256;
/** For one fetch, milliseconds. */
const PATIENCE = 5_000;
/** What is shorter from its end is not handed out: it has to travel, and clocks differ. Milliseconds. */
export const JWT_SPARE = 10_000;
/** After a failure nothing is asked for this long, milliseconds. */
const PAUSE = 1_000;
const MAX_TOKEN = 16 * 1024;

/**
 * Sallyport's own JWT-SVIDs by audience (FetchJWTSVID): each is fetched once, handed out until near its end, and renewed
 * in the background from half its life on. Fetches for one audience are one.
 */
export class JwtSvids {
	readonly #deps: JwtSvidsDeps;
	readonly #kept = new Map<string, Kept>();
	readonly #fetching = new Map<string, Promise<Kept | Broken>>();
	readonly #failed = new Map<string, { readonly at: number; readonly why: Broken }>();
	#generation = 0;

	constructor(deps: JwtSvidsDeps) {
		this.#deps = deps;
	}

	/** Never rejects. `broken` holds no token. */
	async get(audience: string): Promise<JwtSvid | Broken> {
		const now = this.#deps.clock.now();
		const kept = this.#kept.get(audience);
		if (kept === undefined || kept.expires - JWT_SPARE <= now) return await this.#fetch(audience);
		if (now >= kept.renew) void this.#fetch(audience);
		return kept;
	}

	/** The identity changed or was withdrawn: nothing of before is handed out again. */
	forget(): void {
		this.#generation++;
		this.#kept.clear();
		this.#failed.clear();
		this.#fetching.clear();
	}

	#fetch(audience: string): Promise<Kept | Broken> {
		const under = this.#fetching.get(audience);
		if (under !== undefined) return under;
		const failed = this.#failed.get(audience);
		if (failed !== undefined && this.#deps.clock.now() - failed.at < PAUSE) return Promise.resolve(failed.why);
		const generation = this.#generation;
		const fetching = this.#ask(audience).then(result => {
			if (generation !== this.#generation) return result;
			this.#fetching.delete(audience);
			if ('broken' in result) remember(this.#failed, audience, { at: this.#deps.clock.now(), why: result });
			else {
				this.#failed.delete(audience);
				remember(this.#kept, audience, result);
			}
			return result;
		});
		this.#fetching.set(audience, fetching);
		return fetching;
	}

	async #ask(audience: string): Promise<Kept | Broken> {
		const spiffeId = this.#deps.spiffeId();
		if (spiffeId === undefined) return { broken: 'Sallyport has no SVID' };
		const answer = await this.#deps.client.call('FetchJWTSVID', jwtSvidRequest(audience, spiffeId), PATIENCE);
		if (!Buffer.isBuffer(answer)) return { broken: `the Workload API refuses it: ${answer.details || answer.code}` };
		const svids = readJwtSvidsMessage(answer);
		if ('broken' in svids) return svids;
		const svid = svids.find(one => one.spiffeId === spiffeId);
		if (svid === undefined) return { broken: 'the Workload API gives none for the identity in force' };
		return check(svid.token, { audience, spiffeId, now: this.#deps.clock.now() });
	}
}

/** The newest comes last; the oldest goes first. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
	map.delete(key);
	map.set(key, value);
	const [oldest] = map.keys();
	if (map.size > MAX_AUDIENCES && oldest !== undefined) map.delete(oldest);
}

/** The signature is for whoever gets it; that it says what was asked for is looked at (JWT-SVID.md §3). */
function check(
	token: string,
	wanted: { readonly audience: string; readonly spiffeId: string; readonly now: number },
): Kept | Broken {
	const claims = token.length > MAX_TOKEN ? undefined : claimsOf(token);
	if (claims === undefined) return { broken: 'what the Workload API gives is no JWT' };
	const { sub, aud, exp } = claims;
	if (sub !== wanted.spiffeId) return { broken: 'the JWT-SVID is of another identity' };
	if (aud !== wanted.audience && !(Array.isArray(aud) && aud.includes(wanted.audience)))
		return { broken: 'the JWT-SVID is for another audience' };
	if (typeof exp !== 'number' || !Number.isFinite(exp)) return { broken: 'the JWT-SVID has no expiration time' };
	const expires = exp * 1000;
	if (expires - JWT_SPARE <= wanted.now) return { broken: 'the JWT-SVID has expired, or is about to' };
	return { token, expires, renew: wanted.now + (expires - wanted.now) / 2 };
}

function claimsOf(token: string): Readonly<Record<string, unknown>> | undefined {
	const payload = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/.exec(token)?.[1];
	if (payload === undefined) return undefined;
	try {
		const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
		return typeof claims === 'object' && claims !== null ? { ...claims } : undefined;
	} catch {
		return undefined;
	}
}
