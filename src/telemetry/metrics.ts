import type { Counter as CounterOf, Gauge as GaugeOf, Metric } from 'prom-client';
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Registry from 'prom-client/lib/registry.js';
import { RECORD_TYPES, type RecordType } from '../model/record.ts';
import { Histogram } from './histogram.ts';
import { collectNodeMetrics } from './node-metrics.ts';

/**
 * Every metric that Sallyport exports. docs/metrics.md is made from here.
 * Labels have bounded values: undeclared targets share one, agents have no label unless that is asked for.
 */

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const MICROS = [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05];

/** Runs when somebody scrapes, before the metric is read: what changes per call costs nothing between scrapes. */
export function onScrape(metric: CounterOf | GaugeOf, update: () => void): void {
	Object.assign(metric, { collect: update });
}

/** Counts records by type, and tells the metric when somebody scrapes. */
export function countRecords({ records }: Metrics): (type: RecordType, count: number) => void {
	const written = new Map<RecordType, number>();
	onScrape(records, () => {
		for (const type of RECORD_TYPES) records.inc({ type }, written.get(type) ?? 0);
		written.clear();
	});
	return (type, count) => written.set(type, (written.get(type) ?? 0) + count);
}

/** Value of the label `target` for every undeclared host. */
export const UNDECLARED = 'undeclared';

export type Metrics = ReturnType<typeof createMetrics>;

/** Made once, by app.ts; nothing registers itself globally. */
/** `agents`: how many of them have a label of their own. */
export function createMetrics(version: string, agents = 0) {
	const registry = new Registry();
	const registers = [registry];
	const who = agents > 0 ? ['agent'] : [];
	collectNodeMetrics(registry);
	const metrics = {
		calls: new Counter({
			name: 'sallyport_calls_total',
			help: 'Calls that were decided, by verdict and cause.',
			labelNames: ['listener', 'target', 'protocol', 'phase', 'verdict', 'cause', ...who],
			registers,
		}),
		shadows: new Counter({
			name: 'sallyport_shadow_verdicts_total',
			help: 'What bundles that are only tried would have said, beside the verdict of the policy in force.',
			labelNames: ['bundle', 'verdict', 'shadow'],
			registers,
		}),
		outcomes: new Counter({
			name: 'sallyport_outcomes_total',
			help: 'Permitted calls that ended, by cause.',
			labelNames: ['listener', 'target', 'protocol', 'cause', ...who],
			registers,
		}),
		duration: new Histogram({
			name: 'sallyport_call_duration_seconds',
			help: 'From the arrival of a permitted call to its end.',
			labelNames: ['listener', 'protocol'],
			buckets: SECONDS,
		}),
		evaluation: new Histogram({
			name: 'sallyport_policy_evaluation_seconds',
			help: 'Time in WebAssembly for one evaluation.',
			buckets: MICROS,
		}),
		connections: new Gauge({
			name: 'sallyport_connections',
			help: 'Open connections of agents.',
			labelNames: ['listener'],
			registers,
		}),
		refusedConnections: new Counter({
			name: 'sallyport_refused_connections_total',
			help: 'Connections refused before a call, by cause; at the control API as the listener admin.control.',
			labelNames: ['listener', 'cause'],
			registers,
		}),
		callsOpen: new Gauge({
			name: 'sallyport_calls_open',
			help: 'Calls, sessions and tunnels that are under way.',
			registers,
		}),
		upstreamConnections: new Gauge({
			name: 'sallyport_upstream_connections',
			help: 'Open connections to upstreams of HTTP calls.',
			registers,
		}),
		droppedTrailers: new Counter({
			name: 'sallyport_dropped_trailers_total',
			help: 'Request trailers that were not forwarded.',
			registers,
		}),
		credentialValid: new Gauge({
			name: 'sallyport_credential_valid',
			help: '1 while calls can be given the credential of the upstream; 0: they are refused.',
			labelNames: ['upstream', 'credential'],
			registers,
		}),
		svidNotAfter: new Gauge({
			name: 'sallyport_svid_not_after_timestamp_seconds',
			help: 'When the SVID in use expires.',
			registers,
		}),
		reloadLastSuccess: new Gauge({
			name: 'sallyport_reload_last_success',
			help: '1 if the last reload of the part was taken, else 0.',
			labelNames: ['part'],
			registers,
		}),
		policyInfo: new Gauge({
			name: 'sallyport_policy_info',
			help: 'The active revision of each policy bundle.',
			labelNames: ['bundle', 'revision'],
			registers,
		}),
		bundleSuccess: new Gauge({
			name: 'sallyport_bundle_last_success_timestamp_seconds',
			help: 'When the server of a policy bundle was last asked with success, for something new or not; 0 if never.',
			labelNames: ['bundle'],
			registers,
		}),
		bundleFailures: new Gauge({
			name: 'sallyport_bundle_failures',
			help: 'Times since the start that a policy bundle could not be downloaded, or was not good.',
			labelNames: ['bundle'],
			registers,
		}),
		statusReported: new Gauge({
			name: 'sallyport_policy_status_last_success_timestamp_seconds',
			help: 'When the status of the policy bundles was last reported to policy.status; 0 if never.',
			registers,
		}),
		observe: new Gauge({
			name: 'sallyport_observe',
			help: '1 while policy.mode, or the mode of any upstream, is observe.',
			registers,
		}),
		spoolBytes: new Gauge({ name: 'sallyport_audit_spool_bytes', help: 'Size of the audit directory.', registers }),
		spoolLimit: new Gauge({
			name: 'sallyport_audit_limit_bytes',
			help: 'audit.limit: the size of the audit directory at which records cannot be written.',
			registers,
		}),
		oldestUnsent: new Gauge({
			name: 'sallyport_audit_oldest_unsent_timestamp_seconds',
			help: 'Time of the oldest record that a sink has not taken; 0 when it has all.',
			labelNames: ['sink'],
			registers,
		}),
		spans: new Counter({
			name: 'sallyport_spans_total',
			help: 'Spans that the collector of traces took, or that are lost.',
			labelNames: ['result'],
			registers,
		}),
		sinkRefused: new Counter({
			name: 'sallyport_audit_sink_refused_total',
			help: 'Records that a sink refused for good; they stay in the chain.',
			labelNames: ['sink'],
			registers,
		}),
		records: new Counter({
			name: 'sallyport_audit_records_total',
			help: 'Records written to the chain, by type.',
			labelNames: ['type'],
			registers,
		}),
		writable: new Gauge({
			name: 'sallyport_audit_writable',
			help: '1 while records can be written; 0: calls are refused, unless audit.on_failure is continue.',
			registers,
		}),
		auditFailures: new Counter({
			name: 'sallyport_audit_failures_total',
			help: 'Times that records began to be unwritable, by reason; `agent_share`: those of one agent, `sink`: that of `audit.commit` was too late.',
			labelNames: ['reason'],
			registers,
		}),
		unrecorded: new Counter({
			name: 'sallyport_audit_unrecorded_total',
			help: 'Records that could not be written.',
			registers,
		}),
		revocations: new Gauge({
			name: 'sallyport_revocations',
			help: 'Revocations in force, those of the list that the fleet follows included.',
			registers,
		}),
		revocationsUnkept: new Gauge({
			name: 'sallyport_revocations_unkept',
			help: 'Revocations by operators that are in force and could not be kept: a restart would lose them.',
			registers,
		}),
		revokedConnections: new Counter({
			name: 'sallyport_revoked_connections_total',
			help: 'Open connections of agents that a revocation cut.',
			registers,
		}),
		revocationEffect: new Histogram({
			name: 'sallyport_revocation_effect_seconds',
			help: 'From the arrival of a revocation, or of a new list, until everything that it ends was ended.',
			buckets: SECONDS,
		}),
		revocationsIssued: new Gauge({
			name: 'sallyport_revocations_issued_timestamp_seconds',
			help: 'When the list in force that the fleet follows was issued; 0 without one.',
			registers,
		}),
		buildInfo: new Gauge({
			name: 'sallyport_build_info',
			help: 'Version of Sallyport and of Node.',
			labelNames: ['version', 'node'],
			registers,
		}),
	};
	// What prom-client's registry asks of a metric, it has.
	for (const histogram of [metrics.duration, metrics.evaluation, metrics.revocationEffect])
		registry.registerMetric(histogram as unknown as Metric<string>);
	metrics.buildInfo.set({ version, node: process.version }, 1);
	return { ...metrics, registry, agents };
}
