import type { Counter } from 'prom-client';
import type { Identity } from '../model/agent.ts';
import type { Phase } from '../model/call.ts';
import type { Cause } from '../model/cause.ts';
import type { Conn } from '../model/conn.ts';
import type { Target } from '../model/target.ts';
import type { ShadowVerdict } from '../model/verdict.ts';
import type { Observations } from '../telemetry/histogram.ts';
import { type Metrics, onScrape, UNDECLARED } from '../telemetry/metrics.ts';

interface Pending {
	readonly child: Counter.Internal;
	count: number;
}

const NO_LABEL: readonly string[] = [];

/** Counts calls in plain numbers, which are given to prom-client when somebody scrapes: per call that is cheaper. */
export class CallMetrics {
	readonly #metrics: Metrics;
	readonly #evaluation: Observations;
	/** By listener, target, protocol, then what varies. */
	readonly #calls = new Map<string, Pending>();
	readonly #outcomes = new Map<string, Pending>();
	/** Agents with a label of their own. */
	readonly #agents = new Set<string>();
	#lastCall:
		| {
				identity: Identity;
				listener: string;
				target: Target;
				protocol: string;
				phase: Phase;
				verdict: string;
				cause: Cause | undefined;
				pending: Pending;
		  }
		| undefined;
	#lastEnd:
		| {
				identity: Identity;
				listener: string;
				target: Target;
				protocol: string;
				cause: Cause;
				pending: Pending;
				duration: Observations;
		  }
		| undefined;

	constructor(metrics: Metrics) {
		this.#metrics = metrics;
		this.#evaluation = metrics.evaluation.labels();
		const flush = (all: Map<string, Pending>) => () => {
			for (const pending of all.values())
				if (pending.count > 0) {
					pending.child.inc(pending.count);
					pending.count = 0;
				}
		};
		onScrape(metrics.calls, flush(this.#calls));
		onScrape(metrics.outcomes, flush(this.#outcomes));
	}

	/** Beside the verdict of the policy in force. */
	shadowed(verdict: string, { bundle, verdict: shadow }: ShadowVerdict): void {
		this.#metrics.shadows.inc({ bundle, verdict, shadow });
	}

	decided(
		conn: Conn,
		target: Target,
		protocol: string,
		phase: Phase,
		verdict: 'allow' | 'ask' | 'deny',
		cause: Cause | undefined,
	): void {
		const last = this.#lastCall;
		if (
			last !== undefined &&
			last.target === target &&
			last.listener === conn.listener &&
			(this.#metrics.agents === 0 || last.identity === conn.identity) &&
			last.protocol === protocol &&
			last.phase === phase &&
			last.verdict === verdict &&
			last.cause === cause
		) {
			last.pending.count++;
			return;
		}
		const name = target.upstream ?? UNDECLARED;
		const agent = this.#agentOf(conn);
		const key = `${conn.listener} ${name} ${protocol} ${phase} ${verdict} ${cause ?? ''} ${agent.join()}`;
		let pending = this.#calls.get(key);
		if (pending === undefined) {
			pending = {
				child: this.#metrics.calls.labels(conn.listener, name, protocol, phase, verdict, cause ?? '', ...agent),
				count: 0,
			};
			this.#calls.set(key, pending);
		}
		pending.count++;
		const { identity, listener } = conn;
		this.#lastCall = { identity, listener, target, protocol, phase, verdict, cause, pending };
	}

	evaluated(micros: number): void {
		this.#evaluation.observe(micros / 1e6);
	}

	ended(conn: Conn, target: Target, protocol: string, cause: Cause, durationMs: number): void {
		const last = this.#lastEnd;
		if (
			last !== undefined &&
			last.target === target &&
			last.listener === conn.listener &&
			(this.#metrics.agents === 0 || last.identity === conn.identity) &&
			last.protocol === protocol &&
			last.cause === cause
		) {
			last.pending.count++;
			last.duration.observe(durationMs / 1000);
			return;
		}
		const name = target.upstream ?? UNDECLARED;
		const agent = this.#agentOf(conn);
		const key = `${conn.listener} ${name} ${protocol} ${cause} ${agent.join()}`;
		let pending = this.#outcomes.get(key);
		if (pending === undefined) {
			pending = { child: this.#metrics.outcomes.labels(conn.listener, name, protocol, cause, ...agent), count: 0 };
			this.#outcomes.set(key, pending);
		}
		pending.count++;
		const duration = this.#metrics.duration.labels(conn.listener, protocol);
		duration.observe(durationMs / 1000);
		const { identity, listener } = conn;
		this.#lastEnd = { identity, listener, target, protocol, cause, pending, duration };
	}

	/** The value of the label `agent`, where there is one: the first so many agents have their own. */
	#agentOf({ identity }: Conn): readonly string[] {
		const { agents } = this.#metrics;
		if (agents === 0) return NO_LABEL;
		const { id } = identity.agent;
		if (this.#agents.size < agents) this.#agents.add(id);
		return [this.#agents.has(id) ? id : 'other'];
	}
}
