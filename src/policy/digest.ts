import { createHash, hash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';

/** Bytes that are hashed at once: half a millisecond. */
const PART = 512 * 1024;

/** SHA-256 in hex. */
export const sha256 = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex');

/** The same of what may be large, while calls go on. */
export async function sha256InTurns(bytes: Uint8Array): Promise<string> {
	const digest = createHash('sha256');
	for (let at = 0; at < bytes.length; at += PART) {
		if (at > 0) await turn();
		digest.update(bytes.subarray(at, at + PART));
	}
	return digest.digest('hex');
}
