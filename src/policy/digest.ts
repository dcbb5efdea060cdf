import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';

/** Bytes that are hashed at once: half a millisecond. */
const PART = 512 * 1024;

/** SHA-256 in hex of what may be large, while calls go on. */
export async function sha256InTurns(bytes: Uint8Array): Promise<string> {
	const hash = createHash('sha256');
	for (let at = 0; at < bytes.length; at += PART) {
		if (at > 0) await turn();
		hash.update(bytes.subarray(at, at + PART));
	}
	return hash.digest('hex');
}
