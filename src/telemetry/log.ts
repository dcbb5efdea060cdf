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
