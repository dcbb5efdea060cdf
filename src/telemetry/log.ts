import { destination, type Logger, pino } from 'pino';

/** Sallyport's own log: JSON lines on stderr. Records never go here, and no byte of a call does. */
export type Log = Logger;

export function createLog(level: string): Log {
	return pino(
		{
			level,
			base: null,
			timestamp: () => `,"time":"${new Date().toISOString()}"`,
			formatters: { level: label => ({ level: label }) },
		},
		destination({ fd: 2, sync: true }),
	);
}

/** Tells where listeners are that were not there before; answers those that are. */
export function logListening(
	log: Log,
	listening: readonly { readonly name: string; readonly address: string }[],
	before: ReadonlySet<string>,
): ReadonlySet<string> {
	const now = new Set<string>();
	for (const { name, address } of listening) {
		const place = `${name} ${address}`;
		now.add(place);
		if (!before.has(place)) log.info({ listener: name, address }, 'listening');
	}
	return now;
}
