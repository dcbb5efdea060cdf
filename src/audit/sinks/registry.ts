import type { AuditDeps } from '../contract.ts';
import { Feed } from './feed.ts';
import { file } from './file.ts';
import { http } from './http.ts';
import { nats } from './nats.ts';
import { otlp } from './otlp.ts';
import { Positions } from './positions.ts';
import type { SinkConfig, SinkDeps, SinkKind, SinkMade, Source } from './sink.ts';
import { stdout } from './stdout.ts';

/** Every kind of sink. */
export const SINKS: readonly SinkKind[] = [stdout, file, http, nats, otlp];

/** One feed for each configured sink. Throws when two of them are the same. */
export async function openFeeds(
	configs: readonly SinkConfig[],
	source: Source,
	deps: SinkDeps & Pick<AuditDeps, 'metrics' | 'log'>,
): Promise<readonly Feed[]> {
	if (configs.length === 0) return [];
	const made: SinkMade[] = [];
	for (const config of configs) {
		for (const kind of SINKS) {
			const one = kind.make(config, deps);
			if (one === undefined) continue;
			if (made.some(({ key }) => key === one.key)) throw new Error(`audit.sinks: ${one.key} stands there twice`);
			made.push(one);
		}
	}
	const positions = await Positions.open(source.directory);
	return made.map(one => new Feed({ ...one, source, positions, metrics: deps.metrics, log: deps.log }));
}
