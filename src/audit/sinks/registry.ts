import type { AuditConfig } from '../../config/schema.ts';
import { sinkNamed } from '../../config/sink-name.ts';
import type { AuditDeps } from '../contract.ts';
import { Feed } from './feed.ts';
import { file } from './file.ts';
import { http } from './http.ts';
import { nats } from './nats.ts';
import { otlp } from './otlp.ts';
import { Positions } from './positions.ts';
import type { SinkDeps, SinkKind, SinkMade, Source } from './sink.ts';
import { stdout } from './stdout.ts';

/** Every kind of sink. */
export const SINKS: readonly SinkKind[] = [stdout, file, http, nats, otlp];

export interface Feeds {
	readonly all: readonly Feed[];
	/** The one that calls wait for: `audit.commit`. */
	readonly committing: Feed | undefined;
}

/** One feed for each configured sink. Throws when two of them are the same. `taken` is told of what calls wait for. */
export async function openFeeds(
	{ sinks, commit }: Pick<AuditConfig, 'sinks' | 'commit'>,
	source: Source,
	deps: SinkDeps & Pick<AuditDeps, 'metrics' | 'log'>,
	taken: (seq: number) => void,
): Promise<Feeds> {
	if (sinks.length === 0) return { all: [], committing: undefined };
	const made: SinkMade[] = [];
	for (const config of sinks) {
		for (const kind of SINKS) {
			const one = kind.make(config, deps);
			if (one === undefined) continue;
			if (made.some(({ key }) => key === one.key)) throw new Error(`audit.sinks: ${one.key} stands there twice`);
			made.push(one);
		}
	}
	const positions = await Positions.open(source.directory);
	const at = commit === undefined ? -1 : sinkNamed(sinks, commit.sink);
	const all = made.map((one, index) => {
		const committing = index === at;
		// Calls wait: what is written together goes together, and nothing waits for more.
		const gather = committing ? { age: 0, bytes: one.gather?.bytes ?? 0 } : one.gather;
		return new Feed({
			...one,
			...(gather === undefined ? {} : { gather }),
			...(committing ? { taken } : {}),
			source,
			positions,
			metrics: deps.metrics,
			log: deps.log,
		});
	});
	return { all, committing: all[at] };
}
