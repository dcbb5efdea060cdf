import { randomBytes } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import type { Config } from '../config/schema.ts';
import { settingsOf } from '../config/way.ts';
import { openSocketOptions } from '../kernel/socket-option.ts';

/** Who is at the other end of a Unix socket, as the kernel noted it when the peer connected (unix(7), SO_PEERCRED). */
export interface PeerCredentials {
	readonly pid: number;
	readonly uid: number;
	readonly gid: number;
}

/** Undefined when the kernel does not say: then nobody is to be let in. */
export type ReadPeerCredentials = (socket: Socket) => PeerCredentials | undefined;

/** <asm-generic/socket.h>, which is what x86-64 and arm64 use. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** `struct ucred`: pid, uid and gid, 32 bits each, in the machine's byte order (these two are little-endian). */
const UCRED_BYTES = 12;
const ARCHITECTURES: ReadonlySet<string> = new Set(['x64', 'arm64']);
/** Longest that the trial may take, milliseconds. */
const PATIENCE = 5_000;

/**
 * Reads what Node cannot (kernel/socket-option.ts), and tries that on a connection to ourselves before anyone relies on
 * it. Rejects, in words, where it does not work.
 */
export async function openPeerCredentials(): Promise<ReadPeerCredentials> {
	if (process.platform !== 'linux' || !ARCHITECTURES.has(process.arch)) {
		throw new Error(
			`the kernel's peer credentials cannot be read on ${process.platform}/${process.arch}; use mutual TLS on an address`,
		);
	}
	const option = await openSocketOptions();
	const read: ReadPeerCredentials = socket => {
		const value = Buffer.alloc(UCRED_BYTES);
		if (option(socket, SOL_SOCKET, SO_PEERCRED, value) !== UCRED_BYTES) return undefined;
		const pid = value.readInt32LE(0);
		// A peer of another pid namespace is pid 0, and still has its uid.
		return pid < 0 ? undefined : { pid, uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
	};
	await tryOut(read);
	return read;
}

/** Opened once, and only where a listener knows its agents so. Rejects where the kernel does not say who connects. */
export async function peerCredentialsFor(
	config: Config,
	opened: ReadPeerCredentials | undefined,
): Promise<ReadPeerCredentials | undefined> {
	return (
		opened ?? (config.listeners.some(listener => settingsOf(listener, 'unix')) ? openPeerCredentials() : undefined)
	);
}

/** Connects to ourselves over an abstract socket (unix(7)): what is read must be us. */
async function tryOut(read: ReadPeerCredentials): Promise<void> {
	const path = `\0sallyport-${randomBytes(16).toString('hex')}`;
	const server = createServer();
	const client = await new Promise<Socket>((resolve, reject) => {
		server.once('error', reject);
		server.listen(path, () => resolve(connect({ path })));
	});
	client.on('error', () => {});
	try {
		await new Promise<void>((resolve, reject) => {
			const timer = setTimeout(
				() => reject(new Error('the kernel did not say who connects to a Unix socket')),
				PATIENCE,
			);
			server.on('connection', socket => {
				const peer = read(socket);
				socket.destroy();
				// Anyone may connect to an abstract socket; only our own connection counts.
				if (peer?.pid !== process.pid || peer.uid !== process.geteuid?.() || peer.gid !== process.getegid?.()) return;
				clearTimeout(timer);
				resolve();
			});
		});
	} finally {
		client.destroy();
		server.close();
	}
}
