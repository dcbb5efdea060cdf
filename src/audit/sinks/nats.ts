import { sinkKey } from '../../config/sink-name.ts';
import { lineHead } from '../reader.ts';
import { Batches } from './remote/batches.ts';
import { NatsStream } from './remote/nats-stream.ts';
import type { SinkKind } from './sink.ts';

const LF = 10;

/** A stream of NATS JetStream: one message per record, known again by its chain and seq. */
export const nats: SinkKind = {
	name: 'nats',
	make(config, deps) {
		if (!('nats' in config)) return undefined;
		const settings = config.nats;
		const key = sinkKey(config);
		const stream = new NatsStream(settings, deps);
		const batches = new Batches({
			async send(lines, from, to) {
				const records = recordsOf(lines.subarray(from, to));
				const { taken, refused } = await stream.publish(records);
				const done = refused === undefined ? records.length : Math.max(1, taken);
				const end = from + records.slice(0, done).reduce((sum, { line }) => sum + line.length + 1, 0);
				return refused !== undefined && taken === 0 ? { refused, end } : { taken: done, end };
			},
			setAside: records => deps.setAside(key, records),
		});
		return {
			key,
			types: settings.types,
			gather: { age: settings.batch.age, bytes: 0 },
			rate: settings.rate,
			sink: {
				deliver: delivery => batches.deliver(delivery),
				close: () => stream.close(),
				abandon: () => void stream.close(),
			},
		};
	},
};

/** As many as are published before their acknowledgements are waited for. */
const AT_ONCE = 512;

function recordsOf(lines: Buffer) {
	const records: { readonly type: string; readonly id: string; readonly line: Buffer }[] = [];
	for (let at = 0; at < lines.length && records.length < AT_ONCE; ) {
		const lf = lines.indexOf(LF, at);
		const line = lines.subarray(at, lf);
		const head = lineHead(line);
		records.push({ type: head?.type ?? 'unreadable', id: `${head?.chain ?? ''}.${head?.seq ?? at}`, line });
		at = lf + 1;
	}
	return records;
}
