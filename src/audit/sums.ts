import type { AuditConfig } from '../config/schema.ts';
import type { RecordType, RefusedConnection } from '../model/record.ts';
import type { AuditDeps } from './contract.ts';
import type { Lines } from './line.ts';
import type { Outage } from './outage.ts';
import { type RefusalSummary, Refusals } from './refusals.ts';
import { type Overdrawn, Shares } from './shares.ts';
import type { Spool } from './spool.ts';

export interface SumsOptions {
	readonly config: AuditConfig;
	readonly deps: AuditDeps;
	readonly lines: Lines;
	readonly spool: Spool;
	readonly outage: Outage;
	/** Bytes that decisions leave free. */
	readonly reserve: number;
	/** Something waits to be written. */
	readonly appended: () => void;
}

/** The refusals that are recorded in sums: of connections, and of agents whose records have taken their share. */
export class Sums {
	readonly shares: Shares;
	readonly #o: SumsOptions;
	readonly #refusals: Refusals;
	/** Sums stop here, so that they never take the room of calls. */
	readonly #reserve: number;
	#dropped = 0;

	constructor(options: SumsOptions) {
		this.#o = options;
		const { config, deps, reserve } = options;
		this.#reserve = Math.ceil(config.limit / 10);
		this.#refusals = new Refusals(summary => this.#refusal(summary));
		this.shares = new Shares({
			room: config.limit - reserve,
			share: config.agent_share,
			begins: agent => {
				deps.metrics.failure('agent_share');
				deps.log('warn', 'the records of an agent have taken their share of the audit directory', { agent });
			},
			tell: overdrawn => this.#overdrawn(overdrawn),
		});
	}

	refusedConnection(record: RefusedConnection): void {
		this.#refusals.add(record, this.#o.deps.clock.now());
	}

	/** Tells what is due; to be called about once a second. `all`: whatever is not told yet, before the end. */
	tick(now: number, all = false): void {
		this.#refusals.tick(now, all);
		this.shares.tick(now, all);
	}

	#refusal(summary: RefusalSummary): void {
		const dropped = this.#dropped === 0 ? {} : { dropped: this.#dropped };
		if (this.#append('session', this.#o.lines.refusals({ ...summary, ...dropped }))) this.#dropped = 0;
		else {
			this.#dropped += summary.count;
			this.#o.outage.lose('session', 1);
		}
	}

	#overdrawn({ agent, first, last, count }: Overdrawn): boolean {
		const gap = {
			reason: 'unwritable',
			error: 'agent_share',
			...(agent === undefined ? {} : { agent }),
			since: new Date(first).toISOString(),
			until: new Date(last).toISOString(),
			lost: { decision: count },
			calls: this.#o.config.on_failure === 'deny' ? 'denied' : 'continued',
		};
		return this.#append('gap', this.#o.lines.gap(gap));
	}

	#append(type: RecordType, body: string): boolean {
		const { outage, spool, deps, appended } = this.#o;
		if (outage.reason !== undefined || !spool.append(type, deps.clock.now(), body, this.#reserve)) return false;
		appended();
		return true;
	}
}
