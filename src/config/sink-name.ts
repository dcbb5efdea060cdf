import type { SinkConfig } from './sinks.ts';

/** Reads `audit.sinks`, without what checks it: that is loaded only to read a configuration. */

/** What stands under the one key of a sink. */
export const settingsOf = (
	sink: SinkConfig,
): { readonly name?: string | undefined; readonly types?: readonly string[] | undefined } =>
	Object.values(sink)[0] ?? {};

/** The place of a sink by its name, or of the only one; -1 when there is none, or `sink` could be any of several. */
export const sinkNamed = (sinks: readonly SinkConfig[], name: string): number => {
	const at = sinks.findIndex(one => settingsOf(one).name === name);
	return at === -1 && name === 'sink' && sinks.length === 1 ? 0 : at;
};

/** What positions, metrics and `status` call a sink: its kind and where it leads, without the query of a URL, which may hold a secret. */
export function sinkKey(sink: SinkConfig): string {
	if ('http' in sink) return `http:${withoutQuery(sink.http.url)}`;
	if ('otlp' in sink) return `otlp:${withoutQuery(sink.otlp.url)}`;
	if ('nats' in sink) return `nats:${sink.nats.servers[0]}/${sink.nats.subject}`;
	return 'file' in sink ? `file:${sink.file.path}` : 'stdout';
}

function withoutQuery(url: string): string {
	const parsed = URL.parse(url);
	return parsed === null ? '' : `${parsed.origin}${parsed.pathname}`;
}
