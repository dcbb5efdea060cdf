import type { Counter, Histogram } from 'prom-client';
import type { Phase } from '../model/call.ts';
import type { Cause } from '../model/cause.ts';
import type { Conn } from '../model/conn.ts';
import type { Target } from '../model/target.ts';
import { type Metrics, UNDECLARED } from '../telemetry/metrics.ts';

/** Counts calls with children of metrics that are made once per combination of labels. */
export class CallMetrics {
	readonly #metrics: Metrics;
	readonly #calls = new Map<string, Counter.Internal>();
	readonly #outcomes = new Map<string, Counter.Internal>();
	readonly #durations = new Map<string, Histogram.Internal<string>>();

	constructor(metrics: Metrics) {
		this.#metrics = metrics;
	}

	decided(
		conn: Conn,
		target: Target,
		protocol: string,
		phase: Phase,
		verdict: 'allow' | 'ask' | 'deny',
		cause: Cause | undefined,
	): void {
		const name = target.upstream ?? UNDECLARED;
		const key = `${conn.listener} ${name} ${protocol} ${phase} ${verdict} ${cause ?? ''}`;
		let child = this.#calls.get(key);
		if (child === undefined) {
			child = this.#metrics.calls.labels(conn.listener, name, protocol, phase, verdict, cause ?? '');
			this.#calls.set(key, child);
		}
		child.inc();
	}

	evaluated(micros: number): void {
		this.#metrics.evaluation.observe(micros / 1e6);
	}

	ended(conn: Conn, target: Target, protocol: string, cause: Cause, durationMs: number): void {
		const name = target.upstream ?? UNDECLARED;
		const key = `${conn.listener} ${name} ${protocol} ${cause}`;
		let child = this.#outcomes.get(key);
		if (child === undefined) {
			child = this.#metrics.outcomes.labels(conn.listener, name, protocol, cause);
			this.#outcomes.set(key, child);
		}
		child.inc();
		let duration = this.#durations.get(`${conn.listener} ${protocol}`);
		if (duration === undefined) {
			duration = this.#metrics.duration.labels(conn.listener, protocol);
			this.#durations.set(`${conn.listener} ${protocol}`, duration);
		}
		duration.observe(durationMs / 1000);
	}
}
