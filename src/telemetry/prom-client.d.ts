/** Parts of prom-client: the whole loads a push gateway and cluster support, 10 MB that a sidecar does not need. */
declare module 'prom-client/lib/registry.js' {
	import { Registry } from 'prom-client';
	export default Registry;
}
declare module 'prom-client/lib/counter.js' {
	import { Counter } from 'prom-client';
	export default Counter;
}
declare module 'prom-client/lib/gauge.js' {
	import { Gauge } from 'prom-client';
	export default Gauge;
}
declare module 'prom-client/lib/metrics/*.js' {
	import type { Registry } from 'prom-client';
	/** Registers metrics that read themselves when they are scraped. */
	export default function collect(registry: Registry, options: { eventLoopMonitoringPrecision: number }): void;
}
