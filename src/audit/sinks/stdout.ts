import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { sinkKey } from '../../config/sink-name.ts';
import { writeAll } from './descriptor.ts';
import type { Sink, SinkKind } from './sink.ts';

/** The standard output: for containers whose log collector reads it. Nothing else of Sallyport goes there. */
export const stdout: SinkKind = {
	name: 'stdout',
	make(config, deps) {
		if (!('stdout' in config)) return undefined;
		let fd: number | undefined;
		const sink: Sink = {
			deliver({ lines }) {
				fd ??= unblocked(deps.stdout);
				return writeAll(fd, lines);
			},
			close() {
				if (fd !== undefined && fd !== deps.stdout) closeSync(fd);
				fd = undefined;
				return Promise.resolve();
			},
		};
		return { key: sinkKey(config), types: config.stdout.types, sink };
	},
};

/**
 * A descriptor of the same pipe or terminal that does not block: one whose reader stands still would otherwise hold a
 * thread, and with it the end of the process. Opened anew, because the flag would else hold for whoever shares it.
 * Sockets, and pipes of another user, cannot be opened so: those are written to as they are.
 */
function unblocked(fd: number): number {
	const stat = fstatSync(fd);
	if (!stat.isFIFO() && !stat.isCharacterDevice()) return fd;
	try {
		return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
	} catch {
		return fd;
	}
}
