import { lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';

/** Longest path that fits into a `sockaddr_un` (unix(7)): 108 bytes with the NUL. */
const MAX_PATH = 107;

/**
 * Makes way for a Unix socket: its folder, and removes the socket that a killed process left behind. Anything else
 * in its place, or a living listener, rejects with what stands in the way.
 */
export async function clearSocketPath(path: string): Promise<void> {
	if (Buffer.byteLength(path) > MAX_PATH) throw new Error(`${path} is too long for a Unix socket (${MAX_PATH} bytes)`);
	mkdirSync(dirname(path), { recursive: true });
	const there = lstatSync(path, { throwIfNoEntry: false });
	if (there === undefined) return;
	if (!there.isSocket()) throw new Error(`${path} is there and is no socket`);
	const alive = await new Promise<boolean>(resolve => {
		const probe = connect({ path });
		probe.once('connect', () => {
			probe.destroy();
			resolve(true);
		});
		// Nobody listens, or it cannot be told: bind would then fail on what is left.
		probe.once('error', (error: NodeJS.ErrnoException) =>
			resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
		);
	});
	if (alive) throw new Error(`another process listens on ${path}`);
	unlinkSync(path);
}
