import { join } from 'node:path';
import type { Ruler } from './cache.ts';
import { accepts, freePort, startPinned, stopProcess, untilReady } from './processes.ts';

export interface Upstream {
	readonly port: number;
	stop(): Promise<void>;
}

/** Starts the ruler's upstream on a core; every request is answered with `bytes` bytes. */
export async function startUpstream(ruler: Ruler, core: number, bytes: number, folder: string): Promise<Upstream> {
	const port = await freePort();
	const log = join(folder, 'upstream.log');
	const child = startPinned(core, [ruler.up, String(port), String(bytes)], log);
	await untilReady(child, log, () => accepts(port));
	return { port, stop: () => stopProcess(child) };
}
