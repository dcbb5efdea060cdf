import { Batches, type Sent } from './remote/batches.ts';
import { Packing } from './remote/packing.ts';
import { type Answer, Untaken, Uploads } from './remote/upload.ts';
import { remoteKey, type SinkKind } from './sink.ts';

const HEADERS = { 'content-type': 'application/json', 'content-encoding': 'gzip' };

/** Answers that are about what is in a body. Every other one is about the sink, or the way to it. */
const ABOUT_THE_BODY: ReadonlySet<number> = new Set([400, 413, 422]);

/** A server that takes OPA's decision log: gzipped JSON arrays by POST. */
export const http: SinkKind = {
	name: 'http',
	make(config, deps) {
		if (!('http' in config)) return undefined;
		const settings = config.http;
		const key = remoteKey('http', settings.url);
		const packing = new Packing(settings.batch.bytes);
		const uploads = new Uploads(settings, deps);
		const batches = new Batches({
			async send(lines, from, to) {
				const { body, end, count } = await packing.pack(lines, from, to);
				return { ...judge(await uploads.post(body, HEADERS), count), end };
			},
			setAside: records => deps.setAside(key, records),
		});
		const close = (): void => uploads.close();
		return {
			key,
			types: settings.types,
			gather: settings.batch,
			rate: settings.rate,
			sink: {
				deliver: delivery => batches.deliver(delivery),
				async close() {
					close();
				},
				abandon: close,
			},
		};
	},
};

function judge({ status, pause }: Answer, count: number): Sent {
	if (status >= 200 && status < 300) return { taken: count };
	if (ABOUT_THE_BODY.has(status)) return { refused: `it answers ${status}` };
	if (status >= 300 && status < 400)
		throw new Untaken(`it redirects (${status}), which is not followed: name the other URL`);
	throw new Untaken(`it answers ${status}`, pause);
}
