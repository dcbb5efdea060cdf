import type { Socket } from 'node:net';
import type { ListenerConfig } from '../../config/schema.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { RefusedConnection } from '../../model/record.ts';
import type { Connections } from '../listener/connection.ts';
import { AgentHandshakes, type Shaken } from '../listener/handshake.ts';
import type { Entrance } from '../listener/listener.ts';
import { refusedConnection } from '../listener/refusal.ts';
import { Retirement } from '../listener/retirement.ts';
import type { Evidence } from './callers.ts';
import { HttpServer } from './server.ts';
import type { VisitDeps } from './visit.ts';

/** HTTP behind a proxy listener or an http door. */
export class HttpEntrance implements Entrance {
	readonly #server: HttpServer;
	readonly #handshakes: AgentHandshakes | undefined;
	readonly #connections: Connections;
	readonly #listener: string;
	readonly #record: (record: RefusedConnection) => void;
	/** Every accepted socket that is open, and whether it is in the TLS handshake: the others are the server's to drain. */
	readonly #sockets = new Map<Socket, boolean>();
	#draining = false;
	#retired = false;
	#next: Entrance | undefined;
	readonly #retirement = new Retirement(() => this.#sockets.size);

	constructor(config: ListenerConfig, deps: VisitDeps) {
		const { recognition } = deps;
		this.#listener = config.name;
		this.#record = deps.refusedConnection;
		this.#connections = deps.connections;
		this.#handshakes = recognition.ways.includes('mtls')
			? new AgentHandshakes(recognition.tls, config.name, deps.limits.handshake, ['http/1.1'])
			: undefined;
		this.#server = new HttpServer(deps);
	}

	accept(socket: Socket): void {
		this.#hold(socket);
		if (this.#handshakes === undefined) this.#enter(socket, socket, { accepted: socket });
		else this.#handshakes.accept(socket, undefined, result => this.#shaken(socket, result));
	}

	#shaken(socket: Socket, result: Shaken): void {
		const next = this.#nextOf();
		if (next !== this) {
			this.#letGo(socket);
			next.#hold(socket);
		}
		next.#identified(socket, result);
	}

	#identified(socket: Socket, result: Shaken): void {
		const { remoteAddress } = socket;
		if ('cause' in result) {
			this.#refused(this.#draining ? refused('draining') : result, remoteAddress);
			socket.destroy();
			return;
		}
		const { identity: who, bare } = result;
		this.#enter(socket, result.socket, { accepted: socket, certificate: { who, bare } });
	}

	#enter(socket: Socket, content: Socket, evidence: Evidence): void {
		if (this.#sockets.has(socket)) this.#sockets.set(socket, false);
		this.#server.enter(content, evidence);
	}

	/** A handshake that a reload overtook ends at the listener as it is now, if agents are known there in the same way. */
	#nextOf(): HttpEntrance {
		let last: HttpEntrance = this;
		while (last.#retired) {
			const next = last.#next;
			if (!(next instanceof HttpEntrance) || next.#handshakes === undefined) return this;
			if (next.#connections !== this.#connections) return this;
			last = next;
		}
		return last;
	}

	#hold(socket: Socket): void {
		if (socket.closed) return;
		this.#sockets.set(socket, true);
		socket.once('close', () => this.#letGo(socket));
	}

	#letGo(socket: Socket): void {
		this.#sockets.delete(socket);
		this.#retirement.look();
	}

	#refused(refusal: Refused, remote: string | undefined): void {
		this.#record(refusedConnection(this.#listener, refusal, remote));
	}

	renew(): void {
		this.#handshakes?.renew();
	}

	get busy(): number {
		return this.#server.busy;
	}

	drain(): void {
		this.#draining = true;
		this.#server.drain();
		for (const [socket, shaking] of [...this.#sockets]) if (shaking) socket.destroy();
	}

	retire(next: Entrance | undefined, empty: () => void): void {
		this.#retired = true;
		this.#next = next;
		this.#server.drain();
		this.#retirement.begin(() => {
			this.#server.close();
			empty();
		});
	}

	close(): void {
		this.#server.close();
	}
}
