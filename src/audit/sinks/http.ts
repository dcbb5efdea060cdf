import { sinkKey } from '../../config/sink-name.ts';
import { Batches } from './remote/batches.ts';
import { uploading } from './remote/made.ts';
import { arrayOf, Packing } from './remote/packing.ts';
import { judge, Uploads } from './remote/upload.ts';
import type { SinkKind } from './sink.ts';

const HEADERS = { 'content-type': 'application/json', 'content-encoding': 'gzip' };

/** A server that takes OPA's decision log: gzipped JSON arrays by POST. */
export const http: SinkKind = {
	name: 'http',
	make(config, deps) {
		if (!('http' in config)) return undefined;
		const settings = config.http;
		const key = sinkKey(config);
		const packing = new Packing(settings.batch.bytes, arrayOf);
		const uploads = new Uploads(settings, deps);
		const batches = new Batches({
			async send(lines, from, to) {
				const { body, end, count } = await packing.pack(lines, from, to);
				return { ...judge(await uploads.post(body, HEADERS), count), end };
			},
			setAside: records => deps.setAside(key, records),
		});
		return uploading(key, settings, batches, uploads);
	},
};
