import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import {
	createServer as createTlsServer,
	type SecureContextOptions,
	type TLSSocket,
	type TlsOptions,
	type Server as TlsServer,
} from 'node:tls';
import { type Bound, boundOf } from '../config/listen.ts';
import type { Config } from '../config/schema.ts';
import { openPeerCredentials, type ReadPeerCredentials } from '../identity/peer-credentials.ts';
import type { Identity } from '../model/agent.ts';
import { meaningOf, type Refused, refused } from '../model/cause.ts';
import type { Recorder } from '../model/ports.ts';
import { Api, type ApiDeps } from './api.ts';
import { judgeById, judgeByUser, type Operator, type Stranger } from './operators.ts';
import { answerProblem } from './problem.ts';
import { Crowd, createHttp, listen } from './server.ts';

export type ControlConfig = NonNullable<Config['admin']['control']>;

/** What the TLS side takes from identity/. */
export interface ControlIdentity {
	/** Why no handshake can be served now. */
	problem(): Refused | undefined;
	serverTlsOptions(listener: string): TlsOptions;
	secureContextOptions(listener: string): SecureContextOptions;
	identifyTls(socket: TLSSocket): Identity | Refused;
}

export interface ControlDeps extends ApiDeps {
	readonly config: ControlConfig;
	readonly identity: ControlIdentity;
	/** Told of every use, and of everyone who was not let in. */
	readonly recorder: Pick<Recorder, 'control' | 'refusedConnection'>;
	/** How peers of the socket are known; the kernel's word when absent. */
	readonly peerCredentials?: ReadPeerCredentials;
}

/** The name of the control API where listeners have theirs: no listener's name has a dot. */
export const CONTROL = 'admin.control';

/** Connections on which nobody is known yet, or somebody who is not let in; and those of operators. */
const STRANGERS = 64;
const OPERATORS = 64;
/** Milliseconds. */
const HANDSHAKE = 5_000;

/**
 * The control API: HTTP and JSON on a Unix socket, where the kernel says who connects, and on an address with mutual
 * TLS. Who may connect is judged before a request is read, whoever may not is told so and recorded; loopback and the
 * socket's mode are no proof of anything.
 */
export class Control {
	readonly #deps: ControlDeps;
	readonly #api: Api;
	readonly #http: HttpServer;
	readonly #known = new WeakMap<Socket, Operator | Stranger>();
	readonly #strangers = new Crowd(STRANGERS);
	readonly #operators = new Crowd(OPERATORS);
	#socket: Server | undefined;
	#address: TlsServer | undefined;

	constructor(deps: ControlDeps) {
		this.#deps = deps;
		this.#api = new Api(deps);
		this.#http = createHttp((request, response) => this.#take(request, response));
	}

	/** Opens what is configured. Rejects with what stands in the way; without peer credentials there is no socket. */
	async listen(): Promise<void> {
		const { socket, address } = this.#deps.config;
		try {
			if (socket !== undefined) await this.#openSocket(socket);
			if (address !== undefined) await this.#openAddress(address);
		} catch (error) {
			this.close();
			throw error;
		}
	}

	/** Where it listens. */
	get bound(): readonly Bound[] {
		return [this.#socket, this.#address].flatMap(server => (server === undefined ? [] : (boundOf(server) ?? [])));
	}

	/** After a change of SVID or trust bundle: handshakes from now on use the new one. */
	renew(): void {
		this.#address?.setSecureContext(this.#deps.identity.secureContextOptions(CONTROL));
	}

	close(): void {
		this.#socket?.close();
		this.#address?.close();
		this.#strangers.destroy();
		this.#operators.destroy();
	}

	async #openSocket(path: string): Promise<void> {
		const read = this.#deps.peerCredentials ?? (await openPeerCredentials());
		const judge = judgeByUser(this.#deps.config.users ?? defaultUsers(), read);
		this.#socket = createServer(socket => this.#enter(socket, judge(socket)));
		await listen(this.#socket, { kind: 'unix', path });
	}

	async #openAddress(address: NonNullable<ControlConfig['address']>): Promise<void> {
		const { identity, config } = this.#deps;
		// Nobody is an operator unless a pattern says so.
		const judge = judgeById(config.operators ?? [], who => this.#deps.revocations.revoked(who));
		const server = createTlsServer({
			...identity.serverTlsOptions(CONTROL),
			handshakeTimeout: HANDSHAKE,
			ALPNProtocols: ['http/1.1'],
		});
		server.on('connection', socket => {
			socket.on('error', () => {});
			this.#strangers.add(socket);
		});
		server.on('secureConnection', socket => {
			const who = judge(identity.identifyTls(socket));
			if (!('cause' in who)) this.#strangers.release(socket.remoteAddress, socket.remotePort);
			this.#enter(socket, who);
		});
		server.on('tlsClientError', (_error, socket) => {
			this.#refused(identity.problem() ?? refused('identity_missing', 'the TLS handshake failed'), socket);
			socket.destroy();
		});
		this.#address = server;
		await listen(server, address);
	}

	#enter(socket: Socket, who: Operator | Stranger): void {
		socket.on('error', () => {});
		this.#known.set(socket, who);
		if ('cause' in who) {
			this.#strangers.add(socket);
			this.#refused(who, socket);
		} else this.#operators.add(socket);
		this.#http.emit('connection', socket);
	}

	#take(request: IncomingMessage, response: ServerResponse): void {
		const who = this.#known.get(request.socket) ?? refused('identity_missing');
		if (!('cause' in who)) {
			this.#api.serve(who, request, response);
			return;
		}
		const { cause, detail } = who;
		answerProblem(response, {
			status: 403,
			type: `urn:sallyport:cause:${cause}`,
			title: meaningOf(cause),
			...(detail === undefined ? {} : { detail }),
			more: { cause },
		});
	}

	#refused({ cause, detail, claimed }: Stranger, socket: Socket): void {
		this.#deps.recorder.refusedConnection({
			listener: CONTROL,
			cause,
			detail: detail ?? '',
			remote: socket.remoteAddress ?? '',
			...(claimed === undefined ? {} : { claimed }),
		});
	}
}

/** Root, who could do anything anyway, and whoever runs this process. */
const defaultUsers = (): readonly number[] => [0, process.geteuid?.() ?? 0];
