import type { Socket } from 'node:net';
import type { ListenerConfig } from '../../config/schema.ts';
import type { Identity } from '../../model/agent.ts';
import type { Refused } from '../../model/cause.ts';
import type { RefusedConnection } from '../../model/record.ts';
import type { Connections } from '../listener/connection.ts';
import { AgentHandshakes } from '../listener/handshake.ts';
import type { Entrance } from '../listener/listener.ts';
import { type Recognition, wayOf } from '../listener/recognition.ts';
import { HttpServer, type HttpServerDeps } from './server.ts';

/** HTTP behind a proxy listener or an http door. */
export class HttpEntrance implements Entrance {
	readonly #server: HttpServer;
	readonly #handshakes: AgentHandshakes | undefined;
	readonly #as: Identity | undefined;
	readonly #connections: Connections;
	readonly #listener: string;
	readonly #refused: (record: RefusedConnection) => void;

	constructor(config: ListenerConfig, recognition: Recognition, deps: Omit<HttpServerDeps, 'token'>) {
		this.#listener = config.name;
		this.#as = recognition.as;
		this.#refused = deps.refusedConnection;
		this.#connections = deps.connections;
		this.#handshakes =
			wayOf(config) === 'mtls'
				? new AgentHandshakes(recognition.tls, config.name, deps.limits.handshake, ['http/1.1'])
				: undefined;
		this.#server = new HttpServer({ ...deps, token: recognition.token });
	}

	accept(socket: Socket): void {
		const handshakes = this.#handshakes;
		if (handshakes === undefined) {
			this.#server.enter(socket, this.#as);
			return;
		}
		handshakes.accept(socket, undefined, result => {
			const { remoteAddress } = socket;
			if ('cause' in result) {
				this.#record(result, remoteAddress);
				socket.destroy();
				return;
			}
			if ('cause' in result.identity) this.#record(result.identity, remoteAddress);
			else this.#connections.known(socket);
			this.#server.enter(result.socket, result.identity);
		});
	}

	#record(refusal: Refused, remote: string | undefined): void {
		this.#refused({
			listener: this.#listener,
			cause: refusal.cause,
			detail: refusal.detail ?? '',
			remote: remote ?? '',
		});
	}

	renew(): void {
		this.#handshakes?.renew();
	}

	get busy(): number {
		return this.#server.busy;
	}

	drain(): void {
		this.#server.drain();
	}

	close(): void {
		this.#server.close();
	}
}
