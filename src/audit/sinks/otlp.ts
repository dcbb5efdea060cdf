import { sinkKey } from '../../config/sink-name.ts';
import { Batches, firstSeq } from './remote/batches.ts';
import { uploading } from './remote/made.ts';
import { logsOf, type Otlp, openOtlp } from './remote/otlp-logs.ts';
import { Packing } from './remote/packing.ts';
import { judge, Uploads } from './remote/upload.ts';
import type { SinkKind } from './sink.ts';

const HEADERS = { 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip' };

/** An OpenTelemetry collector: each record a log record whose body is its line. */
export const otlp: SinkKind = {
	name: 'otlp',
	make(config, deps) {
		if (!('otlp' in config)) return undefined;
		const settings = config.otlp;
		const key = sinkKey(config);
		const uploads = new Uploads(settings, deps);
		let opened: { readonly packing: Packing; readonly otlp: Otlp } | undefined;
		const open = async () => {
			const made = await openOtlp(deps.instance);
			const packing = new Packing(settings.batch.bytes, lines => {
				const records = logsOf(lines, made);
				return { bytes: made.encode(records), count: records.length };
			});
			return { packing, otlp: made };
		};
		const batches = new Batches({
			async send(lines, from, to) {
				opened ??= await open();
				const { body, end, count } = await opened.packing.pack(lines, from, to);
				const answer = await uploads.post(body, HEADERS);
				const sent = judge(answer, count);
				const rejected = 'taken' in sent ? opened.otlp.rejected(answer.body) : 0;
				if (rejected === 0) return { ...sent, end };
				if (rejected >= count) return { refused: 'it rejects all of them', end };
				// It does not say which, and must not be given the others again (OTLP, "Partial Success").
				const seq = firstSeq(lines.subarray(from, end));
				deps.setAside(key, [{ seq, count: rejected, answer: `it rejects some of ${count} records`, own: false }]);
				return { ...sent, end };
			},
			setAside: records => deps.setAside(key, records),
		});
		return uploading(key, settings, batches, uploads);
	},
};
