import { readFile } from 'node:fs/promises';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { JetStreamClient } from '@nats-io/jetstream';
import type { Authenticator, NatsConnection } from '@nats-io/transport-node';
import type { NatsConfig, NatsCredential } from '../../../config/sinks.ts';
import { codeOf } from '../../io.ts';
import type { RemoteDeps } from '../sink.ts';
import { Untaken } from './sent.ts';

/** JetStream: a message is larger than the stream takes. */
const TOO_LARGE = 10054;
/** Room in a message for its headers. */
const HEADERS = 512;

export interface Message {
	readonly type: string;
	/** By which the stream knows it again. */
	readonly id: string;
	readonly line: Buffer;
}

interface Open {
	readonly connection: NatsConnection;
	readonly stream: JetStreamClient;
	readonly certificate: string;
}

/** Publishes to a stream and waits for its acknowledgements. A connection that fails is not gone on with. */
export class NatsStream {
	readonly #config: NatsConfig;
	readonly #deps: RemoteDeps;
	readonly #secrets: (() => readonly string[] | undefined) | undefined;
	#open: Open | undefined;
	#closed = false;

	constructor(config: NatsConfig, deps: RemoteDeps) {
		this.#config = config;
		this.#deps = deps;
		const { credential } = config;
		this.#secrets = credential === undefined ? undefined : deps.credentials.texts(secretsOf(credential));
	}

	/** How many of the first ones the stream holds, and why it never takes the next one. Rejects to be tried again. */
	async publish(messages: readonly Message[]): Promise<{ readonly taken: number; readonly refused?: string }> {
		const { connection, stream } = await this.#connected();
		const largest = (connection.info?.max_payload ?? Number.POSITIVE_INFINITY) - HEADERS;
		const fits = messages.findIndex(({ line }) => line.length > largest);
		const sent = fits === -1 ? messages : messages.slice(0, fits);
		const acknowledged = await Promise.allSettled(
			sent.map(({ type, id, line }) =>
				stream.publish(`${this.#config.subject}.${type}`, line, { msgID: id, timeout: this.#config.timeout }),
			),
		);
		const failed = acknowledged.findIndex(({ status }) => status === 'rejected');
		const failure = acknowledged[failed];
		if (failure?.status === 'rejected') {
			if (isTooLarge(failure.reason)) return { taken: failed, refused: 'it is larger than the stream takes' };
			this.#drop();
			throw new Untaken(why(failure.reason));
		}
		return fits === -1 ? { taken: sent.length } : { taken: fits, refused: 'it is larger than the server takes' };
	}

	async close(): Promise<void> {
		this.#closed = true;
		const open = this.#open;
		this.#open = undefined;
		await open?.connection.close().catch(() => {});
	}

	#drop(): void {
		const open = this.#open;
		this.#open = undefined;
		void open?.connection.close().catch(() => {});
	}

	async #connected(): Promise<Open> {
		const { present_svid: shows, servers, timeout } = this.#config;
		const svid = shows ? this.#deps.svid() : undefined;
		if (shows && svid === undefined) throw new Untaken('there is no SVID to show it');
		const certificate = svid?.cert ?? '';
		if (this.#open !== undefined && (this.#open.certificate !== certificate || this.#open.connection.isClosed()))
			this.#drop();
		if (this.#open !== undefined) return this.#open;
		const [{ connect, ...auth }, { jetstream }, tls] = await Promise.all([
			import('@nats-io/transport-node'),
			import('@nats-io/jetstream'),
			this.#tls(svid),
		]);
		const problems: string[] = [];
		for (const server of servers) {
			try {
				const authenticator = this.#authenticator(auth);
				if (!isUsable(authenticator)) throw new Untaken('its credential cannot be used');
				const connection = await connect({
					servers: [server],
					timeout,
					reconnect: false,
					// Servers are those of the configuration.
					ignoreClusterUpdates: true,
					name: 'sallyport',
					// `null`: not even if the server offers it.
					tls: tls === undefined ? null : tlsFor(server, tls),
					...(authenticator === undefined ? {} : { authenticator }),
				});
				if (this.#closed) {
					await connection.close();
					throw new Untaken('it was given up');
				}
				this.#open = { connection, stream: jetstream(connection), certificate };
				return this.#open;
			} catch (error) {
				if (error instanceof Untaken) throw error;
				problems.push(why(error));
			}
		}
		throw new Untaken(problems[0] ?? 'it cannot be reached');
	}

	async #tls(svid: { readonly cert: string; readonly key: string } | undefined) {
		const { servers, roots } = this.#config;
		if (servers[0]?.startsWith('tls:') !== true) return undefined;
		try {
			const ca = roots === undefined ? undefined : await readFile(roots, 'utf8');
			return { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }), ...(svid ?? {}) };
		} catch (error) {
			throw new Untaken(`its roots cannot be read (${codeOf(error)})`);
		}
	}

	#authenticator(
		auth: Pick<
			typeof import('@nats-io/transport-node'),
			'tokenAuthenticator' | 'usernamePasswordAuthenticator' | 'nkeyAuthenticator' | 'credsAuthenticator'
		>,
	): Authenticator | undefined {
		const { credential } = this.#config;
		if (credential === undefined || this.#secrets === undefined) return undefined;
		const [first, second] = this.#secrets() ?? [];
		if (first === undefined) throw new Untaken('its credential has no valid value');
		if (credential.token !== undefined) return auth.tokenAuthenticator(first);
		if (credential.nkey !== undefined) return auth.nkeyAuthenticator(bytesOf(first.trim()));
		if (credential.creds !== undefined) {
			// The library looks for the last line feed.
			return auth.credsAuthenticator(bytesOf(`${first}\n`));
		}
		return auth.usernamePasswordAuthenticator(first, second);
	}
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A seed or a credentials file that is none is found here, not in the middle of a handshake. */
function isUsable(authenticator: Authenticator | undefined): boolean {
	try {
		authenticator?.('');
		return true;
	} catch {
		return false;
	}
}

/** In the order in which they are used. */
const secretsOf = ({ token, username, password, nkey, creds }: NatsCredential) =>
	[token, username, password, nkey, creds].filter(secret => secret !== undefined);

/** The library leaves the name of an address unchecked; here it is the one of the configuration in any case. */
function tlsFor(server: string, options: { readonly ca?: string; readonly cert?: string; readonly key?: string }) {
	const host = server
		.replace(/^tls:\/\//, '')
		.replace(/:\d+$/, '')
		.replace(/^\[|\]$/g, '');
	return {
		...options,
		checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate),
	};
}

const isTooLarge = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === TOO_LARGE;

/** In our words: what a server or a library says may hold anything. */
function why(error: unknown): string {
	if (!(error instanceof Error)) return 'it cannot be reached';
	switch (error.name) {
		case 'AuthorizationError':
		case 'UserAuthenticationExpiredError':
			return 'it does not let Sallyport in';
		case 'PermissionViolationError':
			return 'it does not let Sallyport publish to the subject';
		case 'TimeoutError':
			return 'there was no acknowledgement in time';
		case 'JetStreamNotEnabled':
			return 'no stream takes the subject';
		case 'JetStreamApiError':
			return `the stream refuses (${'code' in error ? Number(error.code) : '?'})`;
	}
	const { cause } = error;
	const coded = [error, cause].find(one => one instanceof Error && 'code' in one && typeof one.code === 'string');
	const code = codeOf(coded);
	return `it cannot be reached${/^[A-Z0-9_]{3,60}$/.test(code) ? ` (${code})` : ''}`;
}
