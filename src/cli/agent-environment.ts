import type { Config } from '../config/schema.ts';
import type { AgentDoors, Door } from './agent-doors.ts';

/** What a program's environment needs so that its calls leave through Sallyport. docs/control.md names every variable. */
export interface AgentEnvironment {
	readonly set: Readonly<Record<string, string>>;
	/** What would lead around Sallyport if it were inherited. */
	readonly unset: readonly string[];
	/** The proxy that is used; undefined when the agent has none that takes its token. */
	readonly proxy: Door | undefined;
	/** Why there is none, and where to mend it. */
	readonly missing: string | undefined;
	/** What the caller should know. */
	readonly notes: readonly string[];
}

const PROXY = ['http_proxy', 'https_proxy', 'all_proxy'] as const;
const NO_PROXY = ['no_proxy', 'NO_PROXY'] as const;
/** gRPC's own, which come before the common ones. */
const GRPC = ['grpc_proxy', 'no_grpc_proxy'] as const;

/** `direct`: hosts that programs reach without the proxy, as in NO_PROXY; `inherited`: what is set already. */
export function agentEnvironment(
	known: AgentDoors,
	config: Config,
	inherited: NodeJS.ProcessEnv,
	direct: readonly string[],
): AgentEnvironment {
	const set: Record<string, string> = {
		SALLYPORT_AGENT: known.agent.id,
		...(known.ca === undefined ? {} : { SALLYPORT_CA: known.ca }),
	};
	const unset: string[] = [];
	// A proxy that wants a certificate has no place in an environment, and is not missed.
	const notes = known.unusable
		.filter(({ authenticate, env }) => authenticate === 'token' || env !== undefined)
		.map(({ listener, reason }) => `${listener}: ${reason}`);
	if (known.svid !== undefined) {
		set.SALLYPORT_CERT = known.svid.certificate;
		set.SALLYPORT_KEY = known.svid.key;
	}
	for (const { env, url } of known.doors) if (env !== undefined) set[env] ??= url;

	// The one way that every HTTP library has: a certificate cannot be shown to a proxy by most of them.
	const proxy = known.doors.find(
		({ protocol, authenticate, url }) =>
			protocol === 'http_proxy' && authenticate === 'token' && url.startsWith('http://'),
	);
	const missing = proxy === undefined ? proxyMissing(known, config) : undefined;
	if (proxy === undefined) {
		notes.push(`HTTP calls do not go through Sallyport: ${missing ?? ''}`);
		// Whatever proxy is inherited, it is another.
		unset.push(...PROXY, ...PROXY.map(name => name.toUpperCase()));
	} else {
		for (const name of PROXY) {
			set[name] = proxy.url;
			set[name.toUpperCase()] = proxy.url;
		}
		// Node looks at the variables above only if it is told to.
		set.NODE_USE_ENV_PROXY = '1';
		const around = [...doorHosts(known.doors, config), ...direct].join(',');
		if (around === '') unset.push(...NO_PROXY);
		else for (const name of NO_PROXY) set[name] = around;
		unset.push(...GRPC);
	}

	// Adds to Node's roots. The like of SSL_CERT_FILE would replace the system's roots, and tunnels need those.
	const https = known.doors.some(({ url }) => url.startsWith('https://'));
	if (https && known.ca !== undefined && inherited.NODE_EXTRA_CA_CERTS === undefined)
		set.NODE_EXTRA_CA_CERTS = known.ca;
	return { set, unset: unset.filter(name => set[name] === undefined), proxy, missing, notes };
}

/** Why the agent has no proxy that takes its token, with the place in the configuration. */
export function proxyMissing({ agent, unusable }: Pick<AgentDoors, 'agent' | 'unusable'>, config: Config): string {
	for (const [index, { name, address, serves, authenticate }] of config.listeners.entries()) {
		if (serves !== 'http_proxy' || address.kind === 'unix') continue;
		if (typeof authenticate !== 'object' || !('token' in authenticate)) continue;
		const broken = unusable.find(({ listener }) => listener === name);
		if (broken !== undefined) return `${name}: ${broken.reason}`;
		return authenticate.token.agents.includes(agent.id)
			? `${name} is not open to ${agent.id}: see \`agents\` at listeners[${index}]`
			: `no listener with tokens lists ${agent.id}: add it to \`listeners[${index}].authenticate.token.agents\``;
	}
	return 'no listener serves http_proxy on TCP with `authenticate: { token: … }`: add one that lists the agent';
}

/**
 * HTTP doors are not reached through the proxy. By host and port; by host alone too, which is all that curl
 * understands, unless an upstream is called by that host: its calls would pass Sallyport by.
 */
function doorHosts(doors: readonly Door[], { upstreams }: Config): string[] {
	const taken = new Set(
		Object.values(upstreams).flatMap(({ hosts, address }) => hosts?.map(host => host.toLowerCase()) ?? [address.host]),
	);
	const found = new Set<string>();
	for (const { protocol, url } of doors) {
		if (protocol !== 'http' || url.startsWith('unix:')) continue;
		const { host, hostname } = new URL(url);
		found.add(host);
		const bare = hostname.replace(/^\[|\]$/g, '');
		if (!taken.has(bare)) found.add(bare);
	}
	return [...found];
}
