import type { Socket } from 'node:net';

/** What is still read, unseen, behind the last answer on a connection: time and bytes. */
const LINGER_MS = 1000;
const LINGER_BYTES = 256 * 1024;

/**
 * Ends a connection behind what was written and `last`. It is read on for a moment: a socket closed with unread bytes
 * resets the connection, and the answer with it (RFC 9112 §9.6).
 */
export function linger(socket: Socket, last?: Buffer): void {
	let left = LINGER_BYTES;
	socket.on('data', (bytes: Buffer) => {
		left -= bytes.length;
		if (left < 0) socket.pause();
	});
	if (last === undefined) socket.end();
	else socket.end(last);
	socket.resume();
	const timer = setTimeout(() => socket.destroy(), LINGER_MS);
	socket.once('close', () => clearTimeout(timer));
}
