import { join } from 'node:path';
import type { AuditConfig } from '../config/schema.ts';
import type { RecordType } from '../model/record.ts';
import { checkpointBody, type SigningKey } from './checkpoint.ts';
import type { AuditDeps } from './contract.ts';
import { codeOf } from './io.ts';
import type { Lines } from './line.ts';
import type { OpenCalls } from './open-calls.ts';
import type { Outage } from './outage.ts';
import { lineHead, readLines } from './reader.ts';
import type { Segment } from './segment.ts';
import type { Spool } from './spool.ts';

export interface UpkeepOptions {
	readonly config: AuditConfig;
	readonly deps: AuditDeps;
	readonly lines: Lines;
	readonly spool: Spool;
	readonly outage: Outage;
	/** Ids of permitted calls without an outcome. */
	readonly open: OpenCalls;
	/** Bytes that decisions leave free. */
	readonly reserve: number;
	readonly put: (type: RecordType, time: number, body: string) => void;
	/** Whether every sink has taken all of a segment. */
	readonly acknowledged: (segment: Segment) => boolean;
	/** Whether the sink that calls wait for has not caught up. */
	readonly late: () => boolean;
	/** Segments were deleted. */
	readonly freed: () => void;
}

/** Segments that one record about retention names, at most. */
const EXPIRED_AT_ONCE = 256;

/** What is due by the clock or by size: checkpoints, ends of segments, recovery from outages, retention. */
export class Upkeep {
	readonly #o: UpkeepOptions;
	#checkpoint: { seq: number; time: number } | undefined;
	#due: number;
	#expiring: Promise<void> | undefined;

	constructor(options: UpkeepOptions) {
		this.#o = options;
		this.#due = options.deps.clock.now() + options.config.checkpoint;
	}

	/** The last one of this run: its own `seq`, and when. */
	get checkpoint(): { readonly seq: number; readonly time: number } | undefined {
		return this.#checkpoint;
	}

	/** About once a second. */
	tick(now: number): void {
		const { outage, spool, config } = this.#o;
		if (outage.reason !== undefined) this.#recover(now);
		if (outage.reason !== undefined) return;
		const { current } = spool;
		if (current !== undefined && current.bytes > 0 && now - current.begun >= config.segment.age) this.rotate();
		else if (now >= this.#due) this.#writeCheckpoint(now, false);
	}

	/** Before the end. */
	last(now: number): void {
		if (this.#o.outage.reason !== undefined) this.#recover(now);
		if (this.#o.outage.reason === undefined) this.#writeCheckpoint(now, false);
	}

	afterWrite(): void {
		const { spool, config, outage } = this.#o;
		if (outage.reason === undefined && (spool.current?.bytes ?? 0) >= config.segment.size) this.rotate();
	}

	/** Ends the segment with a checkpoint. */
	rotate(): void {
		const { outage, deps } = this.#o;
		if (outage.reason !== undefined) return;
		this.#writeCheckpoint(deps.clock.now(), true);
		this.abandon();
	}

	/** Ends the segment as it is. */
	abandon(): void {
		try {
			this.#o.spool.rotate();
		} catch (error) {
			this.#o.outage.begin(codeOf(error));
		}
	}

	/** Deletes the oldest segments that are over age and that every sink has, after a record that says so. */
	async expire(now: number): Promise<void> {
		if (this.#expiring !== undefined) return;
		this.#expiring = this.#expire(now)
			.catch((error: unknown) => {
				this.#o.deps.log('warn', 'old audit segments could not be deleted', { error: codeOf(error) });
			})
			.finally(() => {
				this.#expiring = undefined;
			});
		await this.#expiring;
	}

	/** Resolves when no deletion is under way. */
	async idle(): Promise<void> {
		await this.#expiring;
	}

	#writeCheckpoint(now: number, final: boolean): void {
		const { spool, open } = this.#o;
		this.#due = now + this.#o.config.checkpoint;
		const { seq, hash } = spool.head;
		if (seq === 0 || (seq === this.#checkpoint?.seq && !final)) return;
		const facts = { seq, hash, open, openCount: open.size, final };
		if (spool.append('checkpoint', now, checkpointBody(spool.begin('checkpoint', now), facts, this.#signer()))) {
			this.#checkpoint = { seq: seq + 1, time: now };
		}
	}

	#signer(): SigningKey | undefined {
		try {
			return this.#o.deps.signer();
		} catch (error) {
			this.#o.deps.log('error', 'there is no key to sign audit checkpoints', { error: codeOf(error) });
			return undefined;
		}
	}

	#recover(now: number): void {
		const { outage, spool, config, lines, reserve } = this.#o;
		const { reason, since } = outage;
		if (reason === undefined || reason === 'closed') return;
		if (reason === 'sink' && this.#o.late()) return;
		if (reason === 'limit' && spool.bytes > config.limit - reserve - Math.floor(reserve / 4)) return;
		const lost = outage.attempt();
		const gap = {
			reason: 'unwritable',
			error: reason,
			since: new Date(since).toISOString(),
			until: new Date(now).toISOString(),
			lost,
			calls: config.on_failure === 'deny' ? 'denied' : 'continued',
		};
		if (spool.append('gap', now, lines.gap(gap))) spool.flush();
		else outage.begin(reason);
		if (!outage.succeeded()) return;
		for (const { type, time, body } of outage.takeKept()) this.#o.put(type, time, body);
	}

	async #expire(now: number): Promise<void> {
		const { spool, config, outage, lines } = this.#o;
		const expired: Segment[] = [];
		for (const segment of spool.segments.slice(0, -1).slice(0, EXPIRED_AT_ONCE)) {
			if (segment === spool.current || segment.ended > now - config.retain || !this.#o.acknowledged(segment)) break;
			expired.push(segment);
		}
		const following = spool.segments[expired.length];
		if (expired.length === 0 || following === undefined) return;
		let hash: string | undefined;
		await readLines(join(spool.directory, following.name), line => {
			hash = lineHead(line)?.prev;
			return false;
		});
		if (hash === undefined || (outage.reason !== undefined && outage.reason !== 'limit')) return;
		const segments = expired.map(({ name, first, bytes }) => ({ name, first, bytes }));
		const detail = { segments, last: following.first - 1, hash };
		const record = spool.next;
		const body = lines.control({ action: 'retention', operator: 'sallyport', detail });
		// The record first: a deletion that no record names is a fault of the chain.
		if (!spool.append('control', now, body)) return;
		spool.flush();
		if (spool.written.seq < record) return;
		for (const segment of expired) await spool.drop(segment);
		this.#o.freed();
	}
}
