import { connect as netConnect, type Socket } from 'node:net';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { type Refused, refused } from '../../model/cause.ts';
import type { AnyPermit } from '../../model/permit.ts';
import { isPermit } from '../../policy/permit.ts';
import { connectTls } from '../../transfer/tls-client.ts';
import { type Checked, type OwnSockets, resolveTarget } from './address.ts';
import type { Lookups } from './lookup.ts';

export interface Dialled {
	readonly socket: Socket;
}

/** TLS with one upstream: what is shown and by what the upstream is judged. */
export interface UpstreamTls {
	readonly options: ConnectionOptions;
	/** Judges the certificate after OpenSSL did, where a SPIFFE ID is expected. */
	readonly judge?: (socket: TLSSocket) => Refused | undefined;
}

export interface DialDeps {
	readonly own: OwnSockets;
	readonly lookups: Lookups;
	/** Milliseconds for look-up, connection and TLS together, whatever comes between them. */
	readonly limit: number;
	/** Address that is dialled for a declared upstream; undefined for others. */
	addressOf(upstream: string): { readonly host: string; readonly port: number } | undefined;
	/** Told of each connection, in the moment that it is there. */
	readonly connected?: ((socket: Socket) => void) | undefined;
	/** Undefined when the target is spoken to in the clear. */
	tlsOf(permit: AnyPermit): UpstreamTls | Refused | undefined;
}

const LATE = refused('upstream_timeout', 'limits.dial');

const CONNECT_ERRORS: Readonly<Record<string, string>> = {
	ECONNREFUSED: 'the connection was refused',
	EHOSTUNREACH: 'there is no route to the host',
	ENETUNREACH: 'there is no route to the network',
	ETIMEDOUT: 'the connection timed out',
	ECONNRESET: 'the connection was reset',
};

/**
 * Opens upstream connections. Only under a permit: the brand is checked, and that its life lasts is the last
 * thing looked at before the socket is made. Look-up, check and connection are one piece, so that the address
 * that was checked is the address that is connected to.
 */
export class Dialler {
	readonly #deps: DialDeps;
	/** Until when the opening of a dialled socket may last; milliseconds, monotonic. */
	readonly #deadlines = new WeakMap<Socket, number>();

	constructor(deps: DialDeps) {
		this.#deps = deps;
	}

	/** A TCP connection to the permit's target. `done` runs once, unless the returned function took it back first. */
	dial(permit: AnyPermit, done: (result: Dialled | Refused) => void): () => void {
		const deadline = performance.now() + this.#deps.limit;
		const attempt = new Attempt(this.#deps.limit, result => {
			if ('socket' in result) this.#deadlines.set(result.socket, deadline);
			done(result);
		});
		void this.#run(permit, attempt);
		return () => attempt.abort();
	}

	async #run(permit: AnyPermit, attempt: Attempt): Promise<void> {
		if (!isPermit(permit)) {
			attempt.finish(refused('no_rule', 'there is no permit'));
			return;
		}
		const { target } = permit;
		const place =
			target.upstream === undefined ? { host: target.host, port: target.port } : this.#deps.addressOf(target.upstream);
		if (place === undefined) {
			attempt.finish(refused('upstream_unreachable', `the upstream ${target.upstream} is not declared any more`));
			return;
		}
		const checked = await resolveTarget(target, place, this.#deps.own, host =>
			this.#deps.lookups.find({
				host,
				agent: permit.conn.identity.agent.id,
				declared: target.upstream !== undefined,
				wanted: () => !attempt.over,
			}),
		);
		if ('cause' in checked) {
			attempt.finish(checked);
			return;
		}
		let last = refused('upstream_unreachable', `${place.host} could not be reached`);
		for (const remote of checked) {
			if (attempt.over) return;
			const result = await connectTo(permit, remote, attempt);
			if (!('cause' in result)) {
				this.#deps.connected?.(result.socket);
				attempt.finish(result);
				return;
			}
			last = result;
		}
		attempt.finish(last);
	}

	/** The client's side of TLS on a dialled socket, in what is left of its time. */
	secure(
		permit: AnyPermit,
		socket: Socket,
		alpn: readonly string[] | undefined,
		done: (result: { readonly socket: TLSSocket } | Refused) => void,
	): void {
		const tls = this.#deps.tlsOf(permit);
		if (tls === undefined || 'cause' in tls) {
			done(tls ?? refused('upstream_tls', 'the upstream has no tls'));
			return;
		}
		const left = (this.#deadlines.get(socket) ?? 0) - performance.now();
		if (left <= 0) {
			socket.destroy();
			done(LATE);
			return;
		}
		let over = false;
		const finish = (result: { readonly socket: TLSSocket } | Refused): void => {
			if (over) return;
			over = true;
			clearTimeout(timer);
			secured.removeListener('error', fail);
			secured.removeListener('close', closed);
			if ('cause' in result) {
				secured.on('error', () => {});
				secured.destroy();
			}
			done(result);
		};
		const timer = setTimeout(() => finish(LATE), left);
		const fail = (error: NodeJS.ErrnoException): void => finish(refused('upstream_tls', tlsError(error)));
		const closed = (): void =>
			finish(refused('upstream_tls', 'the upstream closed the connection in the TLS handshake'));
		const secured = connectTls({ ...tls.options, socket, ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }) });
		secured.once('error', fail);
		secured.once('close', closed);
		secured.once('secureConnect', () => finish(tls.judge?.(secured) ?? { socket: secured }));
	}
}

/** OpenSSL's and Node's words, without what an upstream could write into them. */
function tlsError(error: NodeJS.ErrnoException): string {
	if (error.code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'the certificate of the upstream is for another name';
	const code = error.code ?? '';
	return /^[A-Z0-9_]{3,60}$/.test(code) ? `the TLS handshake failed (${code})` : 'the TLS handshake failed';
}

function connectTo(permit: AnyPermit, remote: Checked, attempt: Attempt): Promise<Dialled | Refused> {
	return new Promise(resolve => {
		if (permit.life.ended) {
			resolve(refused(permit.life.cause ?? 'revoked'));
			return;
		}
		const socket = netConnect({ host: remote.address, port: remote.port, noDelay: true, allowHalfOpen: true });
		attempt.hold(socket);
		const fail = (error: NodeJS.ErrnoException): void => {
			socket.destroy();
			resolve(refused('upstream_unreachable', CONNECT_ERRORS[error.code ?? ''] ?? 'the connection failed'));
		};
		socket.once('error', fail);
		socket.once('connect', () => {
			socket.removeListener('error', fail);
			if (!sameAddress(socket.remoteAddress, remote.address) || socket.remotePort !== remote.port) {
				socket.destroy();
				resolve(refused('address_forbidden', 'the connection went to another address than the one that was checked'));
				return;
			}
			// The life may have ended while the connection was opened.
			if (permit.life.ended) {
				socket.destroy();
				resolve(refused(permit.life.cause ?? 'revoked'));
				return;
			}
			resolve({ socket });
		});
	});
}

function sameAddress(seen: string | undefined, meant: string): boolean {
	if (seen === meant) return true;
	// 0.0.0.0 and :: are refused for undeclared targets; a declared one reaches loopback by them.
	return (meant === '0.0.0.0' && seen === '127.0.0.1') || (meant === '::' && seen === '::1');
}

/** One dial: ends once, by success, refusal, time or abort. */
class Attempt {
	#done: ((result: Dialled | Refused) => void) | undefined;
	#socket: Socket | undefined;
	readonly #timer: NodeJS.Timeout;

	constructor(limit: number, done: (result: Dialled | Refused) => void) {
		this.#done = done;
		this.#timer = setTimeout(() => {
			this.#socket?.destroy();
			this.finish(LATE);
		}, limit);
	}

	get over(): boolean {
		return this.#done === undefined;
	}

	hold(socket: Socket): void {
		this.#socket = socket;
	}

	finish(result: Dialled | Refused): void {
		const done = this.#done;
		if (done === undefined) {
			if ('socket' in result) result.socket.destroy();
			return;
		}
		this.#done = undefined;
		clearTimeout(this.#timer);
		done(result);
	}

	abort(): void {
		this.#done = undefined;
		clearTimeout(this.#timer);
		this.#socket?.destroy();
	}
}
