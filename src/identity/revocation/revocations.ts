import type { Refused } from '../../model/cause.ts';
import type { Clock, Recorder, Revocable, Revocations, State } from '../../model/ports.ts';
import type { Log } from '../../telemetry/log.ts';
import { type Metrics, onScrape } from '../../telemetry/metrics.ts';
import type { Broken } from '../trust.ts';
import type { Revocation } from './entry.ts';
import { type FleetConfig, FleetRevocations, type FleetStatus } from './fleet.ts';
import type { KeptList } from './kept-list.ts';
import { LocalRevocations } from './local.ts';
import { RevocationView } from './view.ts';

export interface RevocationsDeps {
	readonly state: State;
	readonly clock: Clock;
	readonly recorder: Pick<Recorder, 'control'>;
	readonly metrics: Pick<
		Metrics,
		'revocations' | 'revocationsUnkept' | 'revokedConnections' | 'revocationEffect' | 'revocationsIssued'
	>;
	readonly log: Pick<Log, 'info' | 'error'>;
}

/** What a revocation did. */
export interface Effect {
	/** Open connections that it cut. */
	readonly connections: number;
	/** From the order to the last of them, milliseconds. */
	readonly milliseconds: number;
}

export interface Revoked extends Effect {
	/** One for the same subject was in force, and this one stands in its place. */
	readonly replaced: boolean;
	/** Why it is in force until the end of this process only. */
	readonly unkept?: string;
}

export type Undone = { readonly revocation: Revocation } | { readonly missing: string };

/** Those of operators, and those of the fleet's list. */
export type RevocationSource = 'operator' | 'list';

/** Times are milliseconds since the epoch. */
export interface RevocationsStatus {
	readonly inForce: number;
	readonly byOperators: number;
	/** Absent where no list is followed. */
	readonly fleet?: FleetStatus;
}

/** How often is looked for revocations whose time is over, milliseconds. */
const TICK = 1_000;
/** Between two tries to keep what could not be kept, milliseconds: a disk that was full may have room again. */
const AGAIN = 10_000;

/** Opens what is kept, and follows the list of the configuration. Rejects when what is kept cannot be read. */
export async function openRevocations(
	config: FleetConfig | undefined,
	deps: RevocationsDeps,
): Promise<RevocationsInForce> {
	const revocations = new RevocationsInForce(config, deps);
	try {
		await revocations.start();
	} catch (error) {
		revocations.close();
		throw error;
	}
	return revocations;
}

/** Every revocation in force here. What it ends is ended in the same turn in which it is taken. */
export class RevocationsInForce implements Revocations {
	readonly #deps: RevocationsDeps;
	readonly #local: LocalRevocations;
	readonly #fleet: FleetRevocations | undefined;
	#view = new RevocationView([]);
	#inForce = 0;
	/** When the next one ends by itself, milliseconds since the epoch. */
	#nextEnd = Number.POSITIVE_INFINITY;
	#enforce: () => number = () => 0;
	#timer: NodeJS.Timeout | undefined;
	#stale = false;
	/** When what could not be kept is tried again, milliseconds since the epoch. */
	#nextTry = 0;

	constructor(config: FleetConfig | undefined, deps: RevocationsDeps) {
		this.#deps = deps;
		this.#local = new LocalRevocations(deps);
		this.#fleet =
			config === undefined
				? undefined
				: new FleetRevocations(config, {
						...deps,
						taken: list => this.#taken(list),
						problem: broken => {
							if (broken !== undefined) deps.log.error({ broken }, 'the list of revocations was not taken');
							else deps.log.info({}, 'the list of revocations is good again');
						},
					});
	}

	async start(): Promise<void> {
		onScrape(this.#deps.metrics.revocationsUnkept, () => this.#deps.metrics.revocationsUnkept.set(this.#local.unkept));
		await this.#local.start();
		this.#compile();
		await this.#fleet?.start();
		this.#compile();
		this.#timer = setInterval(() => this.#tick(), TICK);
		this.#timer.unref();
		this.#tick();
	}

	revoked(who: Revocable): Refused | undefined {
		return this.#view.revoked(who);
	}

	/** By its fingerprint alone. */
	revokedToken(token: string): boolean {
		return this.#view.token(token);
	}

	unknown(): Refused | undefined {
		return this.#fleet?.unknown();
	}

	/** Ends what is open of those whose access has been ended, in one turn, and says how many connections that were. */
	enforceBy(enforce: () => number): void {
		this.#enforce = enforce;
	}

	list(): { readonly revocation: Revocation; readonly from: RevocationSource }[] {
		return [
			...[...this.#local.all()].map(revocation => ({ revocation, from: 'operator' as const })),
			...this.#listed().map(revocation => ({ revocation, from: 'list' as const })),
		];
	}

	/** Why one more cannot be taken; undefined when it can. */
	refusal(revocation: Revocation): string | undefined {
		return this.#local.refusal(revocation);
	}

	/** In force at once; kept afterwards. `begun`: when the order came, milliseconds, monotonic. Never rejects. */
	async revoke(revocation: Revocation, begun: number): Promise<Revoked> {
		const replaced = this.#local.get(revocation.what) !== undefined;
		this.#local.put(revocation);
		const effect = this.#effect(begun);
		const said = { revocation: revocation.what, ...effectJson(effect) };
		this.#deps.log.info(said, 'access was ended');
		try {
			await this.#local.keep(revocation);
			return { ...effect, replaced };
		} catch (error) {
			const unkept = error instanceof Error ? error.message : String(error);
			this.#deps.log.error({ revocation: revocation.what, error: unkept }, 'a revocation could not be kept');
			return { ...effect, replaced, unkept };
		}
	}

	/** What an operator revoked; what the fleet's list revokes ends there. Rejects, in words, when it stays in force. */
	async undo(what: string): Promise<Undone> {
		const revocation = this.#local.get(what);
		if (revocation === undefined) {
			const listed = this.#listed().some(entry => entry.what === what);
			return { missing: listed ? 'It is on the list that the fleet follows, and ends there.' : 'It is not revoked.' };
		}
		await this.#local.drop(what);
		this.#compile();
		return { revocation };
	}

	status(): RevocationsStatus {
		return {
			inForce: this.#inForce,
			byOperators: [...this.#local.all()].length,
			...(this.#fleet === undefined ? {} : { fleet: this.#fleet.status() }),
		};
	}

	/** Looks at the fleet's list now. */
	async reload(): Promise<Broken | undefined> {
		return this.#fleet?.reload();
	}

	close(): void {
		clearInterval(this.#timer);
		this.#fleet?.close();
	}

	/** Of the fleet's list, those whose time is not over. */
	#listed(): Revocation[] {
		const now = this.#deps.clock.now();
		return (this.#fleet?.current()?.revocations ?? []).filter(({ until }) => until === undefined || until > now);
	}

	#compile(): void {
		const all = this.list().map(({ revocation }) => revocation);
		this.#view = new RevocationView(all);
		this.#inForce = all.length;
		this.#nextEnd = all.reduce((end, { until }) => Math.min(end, until ?? end), Number.POSITIVE_INFINITY);
		const { revocations, revocationsIssued } = this.#deps.metrics;
		revocations.set(all.length);
		revocationsIssued.set((this.#fleet?.current()?.issued ?? 0) / 1000);
	}

	#effect(begun: number): Effect {
		this.#compile();
		let connections = 0;
		try {
			connections = this.#enforce();
		} catch (error) {
			// Whoever is behind it is refused at the next call all the same.
			this.#deps.log.error({ error: String(error) }, 'not everything could be ended that was revoked');
		}
		const milliseconds = performance.now() - begun;
		this.#deps.metrics.revokedConnections.inc(connections);
		this.#deps.metrics.revocationEffect.labels().observe(milliseconds / 1000);
		return { connections, milliseconds };
	}

	#taken({ sequence, issued, revocations, key }: KeptList): void {
		const effect = this.#effect(performance.now());
		const detail = {
			sequence,
			issued: new Date(issued).toISOString(),
			revocations: revocations.length,
			key,
			...effectJson(effect),
		};
		this.#deps.recorder.control({ action: 'revocations_list', operator: 'sallyport', detail });
		this.#deps.log.info(detail, 'a list of revocations is in force');
	}

	async #expire(): Promise<void> {
		const over = await this.#local.expire();
		this.#compile();
		for (const { what, until } of over) {
			const detail = { what, until: new Date(until ?? 0).toISOString() };
			this.#deps.recorder.control({ action: 'revocation_expired', operator: 'sallyport', detail });
		}
	}

	async #keepAgain(): Promise<void> {
		this.#nextTry = this.#deps.clock.now() + AGAIN;
		try {
			for (const { what } of await this.#local.keepAgain())
				this.#deps.log.info({ revocation: what }, 'a revocation that could not be kept is kept now');
		} catch {
			// It was said when it came, and is counted.
		}
	}

	#tick(): void {
		const now = this.#deps.clock.now();
		if (this.#nextEnd <= now) void this.#expire();
		if (this.#local.unkept === 0) this.#nextTry = now + AGAIN;
		else if (this.#nextTry <= now) void this.#keepAgain();
		const unknown = this.unknown();
		if ((unknown !== undefined) === this.#stale) return;
		this.#stale = unknown !== undefined;
		if (unknown === undefined) this.#deps.log.info({}, 'the list of revocations is young enough again');
		else this.#deps.log.error({ reason: unknown.detail }, 'calls are refused: whom was revoked is not known');
	}
}

/** As records and answers have it. */
export const effectJson = ({ connections, milliseconds }: Effect): { connections: number; effect_ms: number } => ({
	connections,
	// Microseconds are enough.
	effect_ms: Math.round(milliseconds * 1000) / 1000,
});
