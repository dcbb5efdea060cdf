import { writeAll } from './descriptor.ts';
import type { Sink, SinkKind } from './sink.ts';

/** The standard output: for containers whose log collector reads it. Nothing else of Sallyport goes there. */
export const stdout: SinkKind = {
	name: 'stdout',
	make(config, deps) {
		if (!('stdout' in config)) return undefined;
		const sink: Sink = {
			deliver: ({ lines }) => writeAll(deps.stdout, lines),
			close: () => Promise.resolve(),
		};
		return { key: 'stdout', types: config.stdout.types, sink };
	},
};
