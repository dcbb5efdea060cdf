import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config, ListenerConfig } from '../config/schema.ts';
import { hostText } from '../formats/host-port.ts';
import { parseSpiffeId } from '../formats/spiffe-id.ts';
import { matchesAny } from '../formats/spiffe-pattern.ts';
import { tokenPath } from '../identity/token-file.ts';
import type { SpiffeId } from '../model/agent.ts';
import { mistake } from './terminal.ts';

/** One way out for an agent, as its programs address it. */
export interface Door {
	readonly listener: string;
	/** Absent for the proxy. */
	readonly upstream?: string;
	readonly protocol: 'http_proxy' | 'http' | 'tcp' | 'postgres';
	readonly authenticate: 'mtls' | 'token' | 'as';
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
		if (!isFor(listener, agent, config)) continue;
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
function isFor(
	{ authenticate, agents }: ListenerConfig,
	{ id, trustDomain }: SpiffeId,
	{ identity, admin }: Config,
): boolean {
	if (matchesAny(admin.control?.operators ?? [])(id)) return false;
	if (agents === undefined ? trustDomain !== identity.trust_domain : !matchesAny(agents)(id)) return false;
	if (authenticate === 'mtls') return true;
	return 'as' in authenticate ? authenticate.as === id : authenticate.token.agents.includes(id);
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
	const { address, authenticate, env, name: of } = listener;
	const way = authenticate === 'mtls' ? 'mtls' : 'as' in authenticate ? 'as' : 'token';
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

	let secret = '';
	if (typeof authenticate === 'object' && 'token' in authenticate) {
		const path = tokenPath({ directory: authenticate.token.directory, name: means.name });
		const token = readToken(path);
		if ('reason' in token) return unusable(token.reason);
		secret = token.text;
	}
	if (way === 'mtls' && means.ca === undefined)
		return unusable(
			'SVIDs come from the Workload API here: the agent takes its own from there, or --certs names a folder',
		);
	if (way === 'mtls' && !means.svid)
		return unusable(
			`there is no ${means.pair.certificate} with its key; \`sallyport certs issue ${means.agent.id}\` makes one for development`,
		);

	const url =
		protocol === 'postgres' ? postgresUrl(listener, means, secret) : plainUrl(listener, protocol, means.name, secret);
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
	{ address, authenticate }: ListenerConfig,
	protocol: 'http_proxy' | 'http' | 'tcp',
	user: string,
	token: string,
): string {
	if (address.kind === 'unix') return `unix:${address.path}`;
	const tls = authenticate === 'mtls';
	const scheme = protocol === 'tcp' ? (tls ? 'tls' : 'tcp') : tls ? 'https' : 'http';
	return `${scheme}://${token === '' ? '' : `${user}:${token}@`}${hostOf(address.host, tls)}:${address.port}`;
}

/** A connection URI as libpq (34.1.1.2), node-postgres, asyncpg and others take it. */
function postgresUrl(
	{ address, authenticate, user, database, upstream }: ListenerConfig,
	{ config, name, pair, ca }: Means,
	token: string,
): string | undefined {
	const tls = authenticate === 'mtls';
	const parameters: [string, string][] = [];
	let host = '';
	if (address.kind === 'unix') {
		const port = /^\.s\.PGSQL\.(\d{1,5})$/.exec(address.path.slice(address.path.lastIndexOf('/') + 1))?.[1];
		if (port === undefined) return undefined;
		parameters.push(['host', dirname(address.path)], ['port', port]);
	} else host = `${hostOf(address.host, tls)}:${address.port}`;
	if (tls)
		parameters.push(
			['sslmode', 'verify-full'],
			['sslrootcert', ca ?? ''],
			['sslcert', pair.certificate],
			['sslkey', pair.key],
		);
	// It stays on this machine, and the door's certificate would have to be named otherwise.
	else if (address.kind === 'tcp') parameters.push(['sslmode', 'disable']);
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
