import { connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls';
import { type Identity, identity } from '../../src/model/agent.ts';
import type { CallFacts, MaskedText, Section } from '../../src/model/call.ts';
import type { Refusal, Refused } from '../../src/model/cause.ts';
import type { Conn } from '../../src/model/conn.ts';
import { Life } from '../../src/model/life.ts';
import { target } from '../../src/model/target.ts';
import { grantSession } from '../../src/policy/permit.ts';
import type { SessionProtocol, SessionSettings, SessionWay } from '../../src/protocols/contract.ts';
import { type SessionDeps, SessionDoor, type SessionOutcome } from '../../src/proxy/session/door.ts';
import { type Certificates, spiffeId } from './door-certificates.ts';
import { until as asked } from './until.ts';

export interface DoorOptions {
	readonly protocol: SessionProtocol;
	readonly certificates: Certificates;
	/** Port of the upstream on 127.0.0.1. */
	readonly upstream: number;
	readonly upstreamTls?: boolean;
	/** `mtls` when absent. */
	readonly authenticate?: SessionWay;
	readonly credential?: SessionSettings['credential'];
	/** Undefined allows. */
	readonly decide?: (call: CallFacts, agent: string) => { readonly cause: Refusal; readonly msg?: string } | undefined;
	/** Milliseconds until a decision is there. */
	readonly decideAfter?: number;
	readonly limits?: Partial<{ handshake: number; dial: number; sessionAge: number; sessionIdle: number }>;
	/** Path of a Unix socket to listen on instead. */
	readonly unix?: string;
	readonly makeConn?: (identity: Identity) => Refused | undefined;
}

/** A door with the real driver and simple stand-ins for what decides and dials. */
export interface TestDoor {
	readonly port: number;
	readonly door: SessionDoor;
	readonly calls: { readonly call: CallFacts; readonly sections: readonly (MaskedText | undefined)[] }[];
	readonly outcomes: SessionOutcome[];
	readonly refusals: Refused[];
	readonly conns: Conn[];
	readonly dials: number[];
	/** How many sessions are wholly over. */
	over: number;
}

/** The token that a `token` door knows. */
export const TOKEN = 'tok-0123456789';
export const TOKEN_AGENT = 'spiffe://example.org/agents/token';
export const AS_AGENT = 'spiffe://example.org/agents/as';

let decisions = 0;

export async function openDoor(t: Pick<TestContext, 'after'>, options: DoorOptions): Promise<TestDoor> {
	const authenticate = options.authenticate ?? 'mtls';
	const state = { calls: [], outcomes: [], refusals: [], conns: [], dials: [], over: 0 } as unknown as {
		-readonly [Key in keyof TestDoor]: TestDoor[Key];
	};
	const door = new SessionDoor(
		options.protocol,
		{
			address: `127.0.0.1:${options.upstream}`,
			authenticate: [authenticate],
			upstreamTls: options.upstreamTls ?? false,
			credential: options.credential ?? (() => 'none'),
			maxBuffered: 65_536,
		},
		makeDeps(options, authenticate, state),
		{ handshake: 5000, dial: 5000, sessionAge: 0, sessionIdle: 0, ...options.limits },
	);
	state.door = door;
	const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
		door.accept(socket, authenticate === 'as' ? identity(spiffeId(AS_AGENT), 'as') : undefined);
	});
	await new Promise<void>(resolve => {
		if (options.unix === undefined) server.listen(0, '127.0.0.1', resolve);
		else server.listen(options.unix, resolve);
	});
	t.after(async () => {
		door.end('draining');
		await new Promise(resolve => server.close(resolve));
	});
	const address = server.address();
	state.port = typeof address === 'object' && address !== null ? address.port : 0;
	return state;
}

function makeDeps(options: DoorOptions, authenticate: SessionWay, state: TestDoor): SessionDeps {
	const { certificates: certs } = options;
	const secureContext = createSecureContext({ cert: certs.server.certificate, key: certs.server.key, ca: certs.ca });
	const dial: SessionDeps['dial'] = (permit, done) => {
		state.dials.push(permit.target.port);
		const socket: Socket = connect({
			host: '127.0.0.1',
			port: permit.target.port,
			allowHalfOpen: true,
			noDelay: true,
		});
		const failed = (): void => done({ cause: 'upstream_unreachable', detail: 'refused' });
		socket.once('error', failed);
		socket.once('connect', () => {
			socket.removeListener('error', failed);
			done({ socket });
		});
		return () => socket.destroy();
	};
	return {
		expiry: { of: () => undefined },
		startAgentTls(socket, unread, alpn, done) {
			if (unread !== undefined) socket.unshift(unread);
			const tls = new TLSSocket(socket, {
				isServer: true,
				secureContext,
				requestCert: authenticate === 'mtls',
				rejectUnauthorized: false,
				...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
			});
			const failed = (): void => done({ cause: 'identity_invalid', detail: 'the TLS handshake failed' });
			const closed = (): void => done({ cause: 'identity_missing', detail: 'closed in the TLS handshake' });
			tls.once('error', failed);
			socket.once('close', closed);
			tls.once('secure', () => {
				tls.removeListener('error', failed);
				socket.removeListener('close', closed);
				const chosen = typeof tls.alpnProtocol === 'string' ? { alpn: tls.alpnProtocol } : {};
				if (authenticate !== 'mtls') {
					done({ socket: tls, ...chosen });
					return;
				}
				const peer = tls.getPeerX509Certificate();
				const id = /URI:(spiffe:[^,]+)/.exec(peer?.subjectAltName ?? '')?.[1];
				if (peer === undefined || id === undefined) {
					done({ cause: 'identity_missing', socket: tls });
				} else if (!peer.verify(certs.authority.publicKey)) {
					done({ cause: 'identity_invalid', socket: tls });
				} else {
					done({ socket: tls, identity: identity(spiffeId(id), 'mtls'), ...chosen });
				}
			});
		},
		authenticate: (_username, password) =>
			password === TOKEN ? identity(spiffeId(TOKEN_AGENT), 'token') : { cause: 'identity_invalid', detail: 'token' },
		makeConn(who) {
			const refusal = options.makeConn?.(who);
			if (refusal !== undefined) return refusal;
			const conn: Conn = { id: `c${state.conns.length}`, identity: who, listener: 'door', life: new Life() };
			state.conns.push(conn);
			return conn;
		},
		decide(conn, { call, sections, refused }, done) {
			const reads = { has: () => true, all: () => true, paths: undefined };
			state.calls.push({ call, sections: sections.map((section: Section) => section.build(reads)) });
			const refusal =
				refused === undefined ? options.decide?.(call, conn.identity.agent.id) : { cause: refused.cause as Refusal };
			const id = `decision-${++decisions}`;
			const answer = (): void => {
				if (refusal !== undefined) {
					const reasons = refusal.msg === undefined ? [] : [{ msg: refusal.msg }];
					done({ decision: { id, allowed: false, cause: refusal.cause, reasons, observed: false }, finish() {} });
					return;
				}
				const permit = grantSession({
					decisionId: id,
					conn,
					target: target({ host: '127.0.0.1', port: options.upstream, protocol: 'postgres', tls: false }),
					life: conn.life.child().life,
				});
				done({
					decision: { id, allowed: true, reasons: [], observed: false },
					permit,
					finish: outcome => state.outcomes.push(outcome),
				});
			};
			if (options.decideAfter === undefined) setImmediate(answer);
			else setTimeout(answer, options.decideAfter);
		},
		dial,
		cancel: dial,
		startUpstreamTls(_permit, socket, alpn, done) {
			const tls = tlsConnect({
				socket,
				ca: certs.ca,
				servername: 'localhost',
				...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
			});
			const failed = (): void => done({ cause: 'upstream_tls', detail: 'handshake' });
			tls.once('error', failed);
			tls.once('secureConnect', () => {
				tls.removeListener('error', failed);
				done({ socket: tls });
			});
		},
		refused: refusal => state.refusals.push(refusal),
		over: () => {
			state.over++;
		},
	};
}

/** Waits until it is so. */
export const until = async (condition: () => boolean): Promise<void> => {
	await asked(condition, String(condition), 5000);
};
