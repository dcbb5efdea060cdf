import type { Socket } from 'node:net';

/**
 * Reads an option of a connected socket into `value` (getsockopt(2)); returns how many bytes the kernel wrote, undefined
 * when it knows of none.
 */
export type ReadSocketOption = (socket: Socket, level: number, name: number, value: Buffer) => number | undefined;

/** Whose numbers of options and layouts of structures are known here: <asm-generic/socket.h>, little-endian. */
const ARCHITECTURES: ReadonlySet<string> = new Set(['x64', 'arm64']);

/** Node has neither getsockopt nor a public way to the descriptor of a socket. Rejects, in words, where it cannot be called. */
export async function openSocketOptions(): Promise<ReadSocketOption> {
	if (process.platform !== 'linux' || !ARCHITECTURES.has(process.arch))
		throw new Error(`options of sockets cannot be read on ${process.platform}/${process.arch}`);
	// Loaded only where a listener needs it.
	const { default: koffi } = await import('koffi');
	const getsockopt: unknown = koffi
		.load(null)
		.func('int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)');
	if (typeof getsockopt !== 'function') throw new Error('getsockopt cannot be called');
	return (socket, level, name, value) => {
		const fd = descriptorOf(socket);
		if (fd === undefined) return undefined;
		const length = [value.length];
		const result: unknown = getsockopt(fd, level, name, value, length);
		return result === 0 ? length[0] : undefined;
	};
}

/** libuv's handle knows the descriptor; the property is Node's own and may go. */
function descriptorOf(socket: Socket): number | undefined {
	if (!('_handle' in socket)) return undefined;
	const handle = socket._handle;
	if (typeof handle !== 'object' || handle === null || !('fd' in handle)) return undefined;
	const { fd } = handle;
	return typeof fd === 'number' && Number.isInteger(fd) && fd >= 0 ? fd : undefined;
}
