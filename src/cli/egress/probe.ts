import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';

/** How a way out was found. */
export type Found =
	/** The kernel refused it, or there is no such network. */
	| 'closed'
	/** Sallyport itself answered: the connection was redirected to it. */
	| 'captured'
	/** Something outside was reached. */
	| 'open'
	/** It left, and nothing answered in time: something outside of the pod may have stopped it, or not. */
	| 'unanswered';

export interface Result {
	readonly found: Found;
	readonly detail: string;
}

/**
 * A request that every captured listener refuses, whatever policy says: its Host names another port than the connection
 * goes to. A server elsewhere answers something, or nothing, but never with Sallyport's problem type.
 */
const TRIAL = 'GET / HTTP/1.1\r\nHost: sallyport-check.invalid:1\r\nConnection: close\r\n\r\n';
const PROBLEM = 'urn:sallyport:cause:';
/** Codes by which the kernel says that nothing leaves. */
const CLOSED: ReadonlySet<string> = new Set([
	'EACCES',
	'EPERM',
	'EHOSTUNREACH',
	'ENETUNREACH',
	'EADDRNOTAVAIL',
	'EAFNOSUPPORT',
	'EINVAL',
]);
const REFUSED = 'refused, by the server or by something on the way';
const MOST_READ = 16 * 1024;

/** Connects by TCP, and asks what a captured listener would refuse. `limit`: milliseconds; `listens`: the server is known to take connections there. */
export function probeTcp(address: string, port: number, limit: number, listens: boolean): Promise<Result> {
	return new Promise(resolve => {
		let connected = false;
		let answer = '';
		const socket = connect({ host: address, port });
		const finish = (found: Found, detail: string): void => {
			clearTimeout(timer);
			socket.destroy();
			resolve({ found, detail });
		};
		const over = (): void => {
			if (answer.includes(PROBLEM)) finish('captured', 'Sallyport answered');
			else if (connected) finish('open', 'something accepted the connection that is not Sallyport');
			else finish('unanswered', 'no answer to the SYN');
		};
		const timer = setTimeout(over, limit);
		socket.once('connect', () => {
			connected = true;
			socket.write(TRIAL);
		});
		socket.on('data', (data: Buffer) => {
			answer += data.toString('latin1');
			if (answer.includes(PROBLEM) || answer.length > MOST_READ) over();
		});
		socket.once('end', over);
		socket.once('error', (error: NodeJS.ErrnoException) => {
			if (!connected && error.code === 'ECONNREFUSED') {
				if (listens) finish('closed', 'refused on the way');
				else finish('unanswered', REFUSED);
			} else if (!connected && CLOSED.has(error.code ?? '')) finish('closed', error.code ?? '');
			else over();
		});
	});
}

/** Sends one datagram and waits for any other. `limit`: milliseconds. */
export function probeUdp(address: string, port: number, datagram: Buffer, limit: number): Promise<Result> {
	return new Promise(resolve => {
		const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
		let over = false;
		const finish = (found: Found, detail: string): void => {
			if (over) return;
			over = true;
			clearTimeout(timer);
			socket.close();
			resolve({ found, detail });
		};
		const failed = ({ code = 'failed' }: NodeJS.ErrnoException): void => {
			if (CLOSED.has(code)) finish('closed', code);
			else finish('unanswered', code === 'ECONNREFUSED' ? REFUSED : code);
		};
		const timer = setTimeout(() => finish('unanswered', 'no answer to the datagram'), limit);
		socket.once('error', failed);
		socket.once('message', () => finish('open', 'an answer came'));
		// A listener and no callback, which node:dgram would call with the error of a way that is closed.
		socket.once('connect', () => {
			socket.send(datagram, (error: NodeJS.ErrnoException | null) => {
				if (error !== null) failed(error);
			});
		});
		// Connected, so that the kernel tells of refusals (udp(7)).
		socket.connect(port, address);
	});
}

/** A query for the root's name servers (RFC 1035 §4.1). */
export const DNS_QUERY: Buffer = Buffer.from('5a11010000010000000000000000020001', 'hex');

const QUIC_DATAGRAM = 1200;
/**
 * The smallest datagram to which every QUIC server answers, with the versions that it speaks: a long header of a version
 * that is reserved for this (RFC 9000 §6.1, §14.1, §15).
 */
export const QUIC_TRIAL: Buffer = Buffer.concat([
	Buffer.from('c01a2a3a4a08', 'hex'),
	Buffer.from('sallypor'),
	Buffer.from([8]),
	Buffer.from('trytrytr'),
	Buffer.alloc(QUIC_DATAGRAM),
]).subarray(0, QUIC_DATAGRAM);
