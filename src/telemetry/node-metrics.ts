import type { Registry } from 'prom-client';
import Counter from 'prom-client/lib/counter.js';
import eventLoopLag from 'prom-client/lib/metrics/eventLoopLag.js';
import gc from 'prom-client/lib/metrics/gc.js';
import heapSizeAndUsed from 'prom-client/lib/metrics/heapSizeAndUsed.js';
import heapSpacesSizeAndUsed from 'prom-client/lib/metrics/heapSpacesSizeAndUsed.js';
import osMemoryHeap from 'prom-client/lib/metrics/osMemoryHeap.js';
import processHandles from 'prom-client/lib/metrics/processHandles.js';
import processMaxFileDescriptors from 'prom-client/lib/metrics/processMaxFileDescriptors.js';
import processOpenFileDescriptors from 'prom-client/lib/metrics/processOpenFileDescriptors.js';
import processRequests from 'prom-client/lib/metrics/processRequests.js';
import processResources from 'prom-client/lib/metrics/processResources.js';
import processStartTime from 'prom-client/lib/metrics/processStartTime.js';
import version from 'prom-client/lib/metrics/version.js';

const COLLECTORS = [
	processStartTime,
	osMemoryHeap,
	processOpenFileDescriptors,
	processMaxFileDescriptors,
	eventLoopLag,
	processResources,
	processHandles,
	processRequests,
	heapSizeAndUsed,
	heapSpacesSizeAndUsed,
	version,
	gc,
];

/**
 * Node's own metrics, by prom-client's collectors. Only the processor time is counted here, under the same names:
 * theirs loads the API of OpenTelemetry, 8 MB, for exemplars that nobody asked for.
 */
export function collectNodeMetrics(registry: Registry): void {
	const registers = [registry];
	const user = new Counter({
		name: 'process_cpu_user_seconds_total',
		help: 'Total user CPU time spent in seconds.',
		registers,
	});
	const system = new Counter({
		name: 'process_cpu_system_seconds_total',
		help: 'Total system CPU time spent in seconds.',
		registers,
	});
	const both = new Counter({
		name: 'process_cpu_seconds_total',
		help: 'Total user and system CPU time spent in seconds.',
		registers,
	});
	let before = process.cpuUsage();
	Object.assign(user, {
		collect: () => {
			const now = process.cpuUsage();
			const [inUser, inSystem] = [(now.user - before.user) / 1e6, (now.system - before.system) / 1e6];
			before = now;
			user.inc(inUser);
			system.inc(inSystem);
			both.inc(inUser + inSystem);
		},
	});
	for (const collect of COLLECTORS) collect(registry, { eventLoopMonitoringPrecision: 10 });
}
