import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { ListenerConfig } from '../../config/schema.ts';
import { clearSocketPath } from '../../config/socket-path.ts';
import type { Cause, Refused } from '../../model/cause.ts';
import { refused } from '../../model/cause.ts';
import type { ConnectionLimits, Connections } from './connection.ts';

/** What a listener does with the sockets that it takes. */
export interface Entrance {
	accept(socket: Socket): void;
	/** After a change of SVID or trust bundle: new handshakes use the new one. */
	renew(): void;
	/** What is under way: exchanges, sessions, tunnels. */
	readonly busy: number;
	/** Idle connections may go; what is under way goes on. */
	drain(): void;
	close(): void;
}

/** What a listener does, and by which limits; a reload changes it under an open socket. */
export interface Duty {
	readonly entrance: Entrance;
	/** New connections per second. */
	readonly rate: number;
	readonly limits: ConnectionLimits;
}

/** A socket on which agents are accepted: counts, caps and paces what comes before anybody is known. */
export class Listener {
	readonly name: string;
	readonly connections: Connections;
	readonly #refuse: (refusal: Refused, socket: Socket) => void;
	readonly #server: Server;
	/** Of configurations before, while they still have connections. */
	readonly #before = new Set<Entrance>();
	#config: ListenerConfig;
	#duty: Duty;
	#tokens: number;
	#filled = performance.now();

	constructor(
		config: ListenerConfig,
		duty: Duty & { readonly connections: Connections },
		refuse: (refusal: Refused, socket: Socket) => void,
	) {
		this.name = config.name;
		this.connections = duty.connections;
		this.connections.limits = duty.limits;
		this.#refuse = refuse;
		this.#config = config;
		this.#duty = duty;
		this.#tokens = duty.rate;
		this.#server = createServer(
			{ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 },
			socket => this.#accept(socket),
		);
	}

	get config(): ListenerConfig {
		return this.#config;
	}

	get busy(): number {
		let busy = this.#duty.entrance.busy;
		for (const entrance of this.#before) busy += entrance.busy;
		return busy;
	}

	/** New connections are served by this from now on; open ones go on as they were. */
	change(config: ListenerConfig, duty: Duty): void {
		for (const entrance of this.#before) {
			if (entrance.busy > 0) continue;
			entrance.close();
			this.#before.delete(entrance);
		}
		this.#before.add(this.#duty.entrance);
		this.#duty.entrance.drain();
		this.#config = config;
		this.#duty = duty;
		this.connections.limits = duty.limits;
	}

	renew(): void {
		this.#duty.entrance.renew();
	}

	/** Rejects with what stands in the way: the port is taken, the path is no socket, … */
	async listen(): Promise<void> {
		const { address, mode } = this.#config;
		if (address.kind === 'unix') await clearSocketPath(address.path);
		await new Promise<void>((resolve, reject) => {
			this.#server.once('error', reject);
			const ready = (): void => {
				this.#server.removeListener('error', reject);
				this.#server.on('error', () => {});
				resolve();
			};
			if (address.kind === 'unix') this.#server.listen({ path: address.path, backlog: 1024 }, ready);
			else this.#server.listen({ host: address.host, port: address.port, backlog: 1024 }, ready);
		});
		if (address.kind === 'unix') chmodSync(address.path, mode);
	}

	/** Where it listens: address and port that were bound, or the path. */
	get bound(): { readonly address: string; readonly port: number } | { readonly path: string } | undefined {
		const bound = this.#server.address();
		if (bound === null) return undefined;
		return typeof bound === 'string' ? { path: bound } : { address: bound.address, port: bound.port };
	}

	/** Takes no new connections and lets idle ones go. */
	drain(): void {
		this.#server.close();
		for (const entrance of [...this.#before, this.#duty.entrance]) entrance.drain();
	}

	/** Ends everything that is still open; `destroy` comes a moment later, when last words have gone out. */
	close(cause: Cause): void {
		this.#server.close();
		for (const entrance of [...this.#before, this.#duty.entrance]) entrance.close();
		this.connections.end(cause);
	}

	destroy(): void {
		this.connections.destroy();
	}

	#accept(socket: Socket): void {
		socket.on('error', () => {});
		if (!this.#take()) {
			this.#turnAway(socket, 'limits.handshakes_per_second');
			return;
		}
		if (!this.connections.accept(socket)) {
			this.#turnAway(socket, 'limits.connections');
			return;
		}
		this.#duty.entrance.accept(socket);
	}

	#turnAway(socket: Socket, limit: string): void {
		this.#refuse(refused('limit_exceeded', limit), socket);
		socket.resetAndDestroy();
	}

	/** A bucket of one second's worth of connections. */
	#take(): boolean {
		const { rate } = this.#duty;
		const now = performance.now();
		this.#tokens = Math.min(rate, this.#tokens + ((now - this.#filled) / 1000) * rate);
		this.#filled = now;
		if (this.#tokens < 1) return false;
		this.#tokens--;
		return true;
	}
}
