import { write } from 'node:fs';

/** Time until a descriptor that takes nothing now (EAGAIN) is tried again. */
const RETRY_MS = 20;

/**
 * Writes all of `bytes`. Off the event loop, so that a pipe that nobody reads stalls only its own sink.
 */
export function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
	return new Promise((resolve, reject) => {
		const go = (at: number): void => {
			write(fd, bytes, at, bytes.length - at, null, (error, wrote) => {
				if (error !== null) {
					if (error.code === 'EAGAIN') setTimeout(go, RETRY_MS, at).unref();
					else reject(error);
				} else if (at + wrote === bytes.length) resolve();
				else go(at + wrote);
			});
		};
		go(0);
	});
}
