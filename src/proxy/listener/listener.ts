import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { type Bound, boundOf, listen } from '../../config/listen.ts';
import type { ListenAddress } from '../../config/values.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { ConnectionLimits, Connections } from './connection.ts';

/** What serves the connections of a listener, as one configuration wants it. */
export interface Entrance {
	accept(socket: Socket): void;
	/** After a change of SVID or trust bundle: new handshakes use the new one. */
	renew(): void;
	/** What is under way: exchanges, sessions. Who has not said anything yet is not. */
	readonly busy: number;
	/** Sallyport stops: idle and silent connections go at once, what is under way goes on. */
	drain(): void;
	/**
	 * `next` serves the listener from now on, if there is one still: idle connections go, what is under way goes on as it
	 * was begun. `empty` runs once, when no connection is left; then it is closed.
	 */
	retire(next: Entrance | undefined, empty: () => void): void;
	/** Ends what is left. */
	close(): void;
}

/** What a listener does with the sockets that it takes; a reload changes it under an open socket. */
export interface Duty {
	/** The listener's name. */
	readonly name: string;
	readonly connections: Connections;
	readonly entrance: Entrance;
	/** New connections per second. */
	readonly rate: number;
	readonly limits: ConnectionLimits;
	/** Writes down who was turned away. */
	refuse(refusal: Refused, socket: Socket): void;
}

/** A socket on which agents are accepted: counts, caps and paces what comes before anybody is known. */
export class Listener {
	/** As it is configured: port 0 stays 0. */
	readonly address: ListenAddress;
	readonly #server: Server;
	#mode: number;
	#duty: Duty | undefined;
	/** Who came before there was a duty. */
	#waiting: Socket[] = [];
	#tokens = 0;
	#filled = performance.now();
	/** Where it was when it was released. */
	#place: Bound | undefined;

	constructor(address: ListenAddress, mode: number) {
		this.address = address;
		this.#mode = mode;
		this.#server = createServer(
			{ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 },
			socket => this.#accept(socket),
		);
	}

	/** Rejects with what stands in the way: the port is taken, the path is no socket, … Whoever comes waits for `serve`. */
	open(): Promise<void> {
		return listen(this.#server, this.address, { mode: this.#mode, backlog: BACKLOG });
	}

	/** Undefined until `serve`. */
	get duty(): Duty | undefined {
		return this.#duty;
	}

	/** Connections are served in this way from now on; those that are open belong to the entrance that took them. */
	serve(duty: Duty): void {
		if (this.#duty === undefined) this.#tokens = duty.rate;
		this.#duty = duty;
		duty.connections.limits = duty.limits;
		for (const socket of this.#waiting.splice(0)) this.#accept(socket);
	}

	/** Mode of a Unix socket. */
	get mode(): number {
		return this.#mode;
	}

	/** Throws when the socket is not there any more, or not Sallyport's to change. */
	changeMode(mode: number): void {
		if (this.address.kind === 'unix' && mode !== this.#mode) chmodSync(this.address.path, mode);
		this.#mode = mode;
	}

	/** Where it listens: address and port that were bound, or the path. */
	get bound(): Bound | undefined {
		return boundOf(this.#server);
	}

	/** Takes no new connections: its place is free for another socket. */
	close(): void {
		this.#place = this.bound ?? this.#place;
		this.#server.close();
		for (const socket of this.#waiting.splice(0)) socket.destroy();
	}

	/** Takes its place again after `close`. */
	reopen(): Promise<void> {
		const { address } = this;
		const place = this.#place;
		const again =
			address.kind === 'tcp' && place !== undefined && 'port' in place ? { ...address, port: place.port } : address;
		return listen(this.#server, again, { mode: this.#mode, backlog: BACKLOG });
	}

	#accept(socket: Socket): void {
		socket.on('error', () => {});
		const duty = this.#duty;
		if (duty === undefined) {
			if (this.#waiting.length < MOST_WAITING) this.#waiting.push(socket);
			else socket.resetAndDestroy();
			return;
		}
		if (!this.#take(duty.rate)) turnAway(duty, socket, 'limits.handshakes_per_second');
		else if (!duty.connections.accept(socket)) turnAway(duty, socket, 'limits.connections');
		else duty.entrance.accept(socket);
	}

	/** A bucket of one second's worth of connections. */
	#take(rate: number): boolean {
		const now = performance.now();
		this.#tokens = Math.min(rate, this.#tokens + ((now - this.#filled) / 1000) * rate);
		this.#filled = now;
		if (this.#tokens < 1) return false;
		this.#tokens--;
		return true;
	}
}

const BACKLOG = 1024;
/** Who comes between the opening of a new listener and the moment that its configuration is in force. */
const MOST_WAITING = 256;

function turnAway(duty: Duty, socket: Socket, limit: string): void {
	duty.refuse(refused('limit_exceeded', limit), socket);
	socket.resetAndDestroy();
}
