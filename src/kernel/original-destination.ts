import type { Socket } from 'node:net';
import { openSocketOptions } from './socket-option.ts';

/** Where a connection was going before the packet filter turned it round. */
export interface Destination {
	/** One spelling for each address: dotted, or RFC 5952. */
	readonly address: string;
	readonly port: number;
}

/** Undefined when the kernel does not say: then it must not be guessed. A connection that nothing redirected was going to the listener itself. */
export type ReadDestination = (socket: Socket) => Destination | undefined;

/** <linux/netfilter_ipv4.h>, <linux/netfilter_ipv6/ip6_tables.h>: both options have one number, at the level of their protocol. */
const SOL_IP = 0;
const SOL_IPV6 = 41;
const ORIGINAL_DST = 80;
/** `struct sockaddr_in` and `sockaddr_in6`: family in the machine's byte order; port and address in the network's. */
const SOCKADDR_IN = 16;
const SOCKADDR_IN6 = 28;
const AF_INET = 2;
const AF_INET6 = 10;

/** The destination that connection tracking keeps for what REDIRECT turned round. Rejects, in words, where it cannot be asked. */
export async function openOriginalDestination(): Promise<ReadDestination> {
	const read = await openSocketOptions();
	return socket => {
		if (socket.localFamily === 'IPv4') {
			const value = Buffer.alloc(SOCKADDR_IN);
			if (read(socket, SOL_IP, ORIGINAL_DST, value) !== SOCKADDR_IN || value.readUInt16LE(0) !== AF_INET)
				return undefined;
			return { address: value.subarray(4, 8).join('.'), port: value.readUInt16BE(2) };
		}
		const value = Buffer.alloc(SOCKADDR_IN6);
		if (read(socket, SOL_IPV6, ORIGINAL_DST, value) !== SOCKADDR_IN6 || value.readUInt16LE(0) !== AF_INET6)
			return undefined;
		return { address: ipv6Text(value.subarray(8, 24)), port: value.readUInt16BE(2) };
	};
}

/** RFC 5952: no leading zeros, the first of the longest runs of two or more zero groups left out. */
function ipv6Text(bytes: Buffer): string {
	const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');
	const runs = [...groups.matchAll(/\b0(?::0)+\b/g)].sort((a, b) => b[0].length - a[0].length);
	const run = runs[0];
	if (run === undefined) return groups;
	const before = groups.slice(0, run.index).replace(/:$/, '');
	const after = groups.slice(run.index + run[0].length).replace(/^:/, '');
	return `${before}::${after}`;
}
