import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config, ListenerConfig } from '../config/schema.ts';
import { kindOf, takesTls, waysOf } from '../config/way.ts';
import type { WayConfig } from '../config/ways.ts';
import { hostText } from '../formats/host-port.ts';
import { parseSpiffeId } from '../formats/spiffe-id.ts';
import { matchesAny } from '../formats/spiffe-pattern.ts';
import { tokenPath } from '../identity/token-file.ts';
import type { Authentication, SpiffeId } from '../model/agent.ts';
import { mistake } from './terminal.ts';

/** One way out for an agent, as its programs address it. */
export interface Door {
	readonly listener: string;
	/** Absent for the proxy. */
	readonly upstream?: string;
	readonly protocol: 'http_proxy' | 'http' | 'tcp' | 'postgres';
	/** The first of the listener's ways that the agent has what it takes for. */
	readonly authenticate: Authentication;
	/** The variable that the configuration gives it. */
	readonly env?: string;
	/** Holds the token where one is used. */
	readonly url: string;
}

/** A listener that the agent may use, but whose address cannot be given. */
export interface Unusable {
	readonly listener: string;
	readonly authenticate: Door['authenticate'];
	readonly env?: string;
	readonly reason: string;
}

/** What an agent's programs need to know. */
export interface AgentDoors {
	readonly agent: SpiffeId;
	readonly doors: readonly Door[];
	readonly unusable: readonly Unusable[];
	/** The agent's SVID on disk; absent when it is not there. */
	readonly svid?: { readonly certificate: string; readonly key: string };
	/** PEM: by what Sallyport's own certificate is judged; absent where only the Workload API knows it. */
	readonly ca?: string;
}

/** NAME is an id, or the last part of `spiffe://TRUST_DOMAIN/agents/NAME`. */
export function agentNamed(name: string, trustDomain: string): SpiffeId {
	const id = parseSpiffeId(name.includes('/') ? name : `spiffe://${trustDomain}/agents/${name}`);
	if ('broken' in id) throw mistake(`--agent ${name}: ${id.broken}`);
	return id;
}

/** Every listener that the configuration opens to the agent. `certs`: the folder of `NAME.pem` and `NAME.key`. */
export function agentDoors(config: Config, agent: SpiffeId, certs: string | undefined): AgentDoors {
	const name = agent.segments.at(-1) ?? '';
	const ca = trustBundle(config, certs);
	const folder = certs ?? (ca === undefined ? '' : dirname(ca));
	const pair = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
	const svid = existsSync(pair.certificate) && existsSync(pair.key) ? pair : undefined;
	const doors: Door[] = [];
	const unusable: Unusable[] = [];
	for (const listener of config.listeners) {
		// What comes in to a workload is no way out for anybody; captured connections need no address.
		if (listener.serves === 'inbound' || listener.serves === 'captured' || !isFor(listener, agent, config)) continue;
		const made = doorOf(listener, { config, agent, name, pair, svid: svid !== undefined, ca });
		if ('reason' in made) unusable.push(made);
		else doors.push(made);
	}
	return { agent, doors, unusable, ...(ca === undefined ? {} : { ca }), ...(svid === undefined ? {} : { svid }) };
}

/** Sallyport's own trust bundle on disk; where it comes from the Workload API, the `ca.pem` beside the agent's SVID. */
function trustBundle({ identity }: Config, certs: string | undefined): string | undefined {
	if (identity.svid.files !== undefined) return identity.svid.files.trust_bundle;
	const beside = certs === undefined ? undefined : join(certs, 'ca.pem');
	return beside !== undefined && existsSync(beside) ? beside : undefined;
}

/** As the listener's own rules say it. */
function isFor(listener: ListenerConfig, { id, trustDomain }: SpiffeId, { identity, admin }: Config): boolean {
	const { agents } = listener;
	if (matchesAny(admin.control?.operators ?? [])(id)) return false;
	if (agents === undefined ? trustDomain !== identity.trust_domain : !matchesAny(agents)(id)) return false;
	return waysOf(listener).some(way => couldKnow(way, id));
}

/** Whether somebody with this id could be known so. */
function couldKnow(way: WayConfig, id: string): boolean {
	if (way === 'mtls' || 'jwt_svid' in way) return true;
	if ('as' in way) return way.as === id;
	return 'unix' in way ? Object.values(way.unix.users).includes(id) : way.token.agents.includes(id);
}

interface Means {
	readonly config: Config;
	readonly agent: SpiffeId;
	readonly name: string;
	readonly pair: { readonly certificate: string; readonly key: string };
	readonly svid: boolean;
	readonly ca: string | undefined;
}

function doorOf(listener: ListenerConfig, means: Means): Door | Unusable {
	const { address, env, name: of } = listener;
	const ways = waysOf(listener).filter(way => couldKnow(way, means.agent.id));
	const found = ways.map(way => ({ kind: kindOf(way), ...proofOf(way, means) }));
	const proof = found.find(({ reason }) => reason === undefined) ?? found[0];
	const way = proof?.kind ?? 'mtls';
	const unusable = (reason: string): Unusable => ({
		listener: of,
		authenticate: way,
		...(env === undefined ? {} : { env }),
		reason,
	});
	const upstream = listener.upstream === undefined ? undefined : means.config.upstreams[listener.upstream];
	const protocol = upstream?.protocol ?? 'http_proxy';
	if (address.kind === 'tcp' && address.port === 0)
		return unusable('its port is 0, so known only to the log of the running Sallyport');

	if (proof?.reason !== undefined) return unusable(proof.reason);
	const secret = proof?.secret ?? '';
	if (takesTls(listener) && means.ca === undefined) return unusable(NO_CA);

	const url =
		protocol === 'postgres'
			? postgresUrl(listener, means, { way, token: secret })
			: plainUrl(listener, protocol, means.name, secret);
	if (url === undefined) return unusable('libpq finds only Unix sockets named .s.PGSQL.PORT');
	return {
		listener: of,
		...(listener.upstream === undefined ? {} : { upstream: listener.upstream }),
		protocol,
		authenticate: way,
		...(env === undefined ? {} : { env }),
		url,
	};
}

/** What the agent has to be known by in one way, or why it has not. */
interface Proof {
	readonly secret?: string;
	readonly reason?: string;
}

const NO_CA = 'SVIDs come from the Workload API here: the agent takes its own from there, or --certs names a folder';

function proofOf(way: WayConfig, { ca, svid, pair, agent, name }: Means): Proof {
	if (way === 'mtls') {
		if (ca === undefined) return { reason: NO_CA };
		if (svid) return {};
		return {
			reason: `there is no ${pair.certificate} with its key; \`sallyport certs issue ${agent.id}\` makes one for development`,
		};
	}
	if ('jwt_svid' in way)
		return { reason: 'JWT-SVIDs are shown here: the program fetches them, and no address can hold one' };
	if (!('token' in way)) return {};
	const token = readToken(tokenPath({ directory: way.token.directory, name }));
	return 'reason' in token ? token : { secret: token.text };
}

function readToken(path: string): { readonly text: string } | { readonly reason: string } {
	try {
		const text = readFileSync(path, 'utf8');
		return /^[A-Za-z0-9_-]{16,256}$/.test(text) ? { text } : { reason: `${path} holds no token` };
	} catch (error) {
		const code = error instanceof Error && 'code' in error ? error.code : undefined;
		if (code === 'ENOENT') return { reason: `there is no ${path} yet: Sallyport writes it when it runs` };
		return { reason: `${path} cannot be read (${String(code)})` };
	}
}

function plainUrl(
	listener: ListenerConfig,
	protocol: 'http_proxy' | 'http' | 'tcp',
	user: string,
	token: string,
): string {
	const { address } = listener;
	if (address.kind === 'unix') return `unix:${address.path}`;
	const tls = takesTls(listener);
	const scheme = protocol === 'tcp' ? (tls ? 'tls' : 'tcp') : tls ? 'https' : 'http';
	return `${scheme}://${token === '' ? '' : `${user}:${token}@`}${hostOf(address.host, tls)}:${address.port}`;
}

/** A connection URI as libpq (34.1.1.2), node-postgres, asyncpg and others take it. */
function postgresUrl(
	listener: ListenerConfig,
	{ config, name, pair, ca }: Means,
	{ way, token }: { readonly way: Authentication; readonly token: string },
): string | undefined {
	const { address, user, database, upstream } = listener;
	const tls = takesTls(listener);
	const parameters: [string, string][] = [];
	let host = '';
	if (address.kind === 'unix') {
		const port = /^\.s\.PGSQL\.(\d{1,5})$/.exec(address.path.slice(address.path.lastIndexOf('/') + 1))?.[1];
		if (port === undefined) return undefined;
		parameters.push(['host', dirname(address.path)], ['port', port]);
	} else host = `${hostOf(address.host, tls)}:${address.port}`;
	if (tls) parameters.push(['sslmode', 'verify-full'], ['sslrootcert', ca ?? '']);
	if (way === 'mtls') parameters.push(['sslcert', pair.certificate], ['sslkey', pair.key]);
	// It stays on this machine, and the door's certificate would have to be named otherwise.
	if (!tls && address.kind === 'tcp') parameters.push(['sslmode', 'disable']);
	// Without `credentials` and token the agent signs in to the database itself, and brings its own user.
	const relayed = token === '' && config.upstreams[upstream ?? '']?.credentials === undefined;
	const who = user ?? (relayed ? undefined : name);
	const login = who === undefined ? '' : `${encodeURIComponent(who)}${token === '' ? '' : `:${token}`}@`;
	const query = parameters
		.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll('%2F', '/')}`)
		.join('&');
	return `postgres://${login}${host}/${database === undefined ? '' : encodeURIComponent(database)}${query === '' ? '' : `?${query}`}`;
}

/** Where a program on this machine finds it. Sallyport's certificate names `localhost`, and loopback addresses only in development. */
function hostOf(host: string, tls: boolean): string {
	const literal = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
	if (tls && (literal === '127.0.0.1' || literal === '::1')) return 'localhost';
	return hostText(literal);
}
