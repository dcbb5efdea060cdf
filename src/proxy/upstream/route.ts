import type { Config, UpstreamConfig } from '../../config/schema.ts';
import { hostPortText, hostText } from '../../formats/host-port.ts';
import { type Target, target } from '../../model/target.ts';

/** A declared upstream at work: what is worked out once per configuration. */
export interface Upstream {
	readonly name: string;
	readonly config: UpstreamConfig;
	/** For calls in its own protocol. */
	readonly target: Target;
	/** For tunnels to it. */
	readonly tunnel: Target;
	/** The Host that a door sends. */
	readonly authority: string;
}

/** The same server as the one of a workload that calls come in to. */
export const behind = (upstream: Upstream, agent: string): Upstream =>
	Object.freeze({ ...upstream, target: target({ ...upstream.target, agent }) });

/** Where a call would go: a declared upstream, or what the call names. */
export interface Route {
	readonly target: Target;
	readonly upstream?: Upstream;
}

export type Scheme = 'http' | 'https';

export const defaultPort = (scheme: Scheme): number => (scheme === 'https' ? 443 : 80);

/** `host` or `host:port` as a Host field carries it; the scheme's own port is left out. */
export const authorityText = (host: string, port: number, scheme: Scheme): string =>
	port === defaultPort(scheme) ? hostText(host) : hostPortText(host, port);

/** Whether a tunnel to it would hide calls that are to be inspected. */
export const isHiddenByTunnels = ({ config }: Upstream): boolean =>
	config.protocol !== 'tcp' && config.tunnel !== 'allow';

export class Router {
	readonly #upstreams = new Map<string, Upstream>();
	readonly #places = new Map<string, Upstream>();

	/** Stands in records for the target of a call that could not be aimed. */
	readonly nowhere: Target = target({ host: '', port: 0, protocol: 'http', tls: false });

	constructor(config: Config) {
		for (const [name, upstream] of Object.entries(config.upstreams)) {
			const { address, protocol, tls } = upstream;
			const host = (upstream.hosts?.[0] ?? address.host).toLowerCase();
			const sni = tls === undefined ? undefined : (tls.server_name ?? host);
			const made: Upstream = Object.freeze({
				name,
				config: upstream,
				target: target({
					upstream: name,
					host,
					port: address.port,
					protocol,
					tls: tls !== undefined,
					...(sni === undefined ? {} : { sni }),
				}),
				// What is inside a tunnel is the agent's: Sallyport speaks no TLS of its own there.
				tunnel: target({ upstream: name, host, port: address.port, protocol: 'tunnel', tls: false }),
				authority: authorityText(host, address.port, tls === undefined ? 'http' : 'https'),
			});
			this.#upstreams.set(name, made);
			for (const other of upstream.hosts ?? [address.host])
				this.#places.set(`${other.toLowerCase()}:${address.port}`, made);
		}
	}

	upstream(name: string): Upstream | undefined {
		return this.#upstreams.get(name);
	}

	/** What an absolute-form request names, or why it may not. */
	forRequest(scheme: Scheme, host: string, port: number): Route | { readonly mismatch: string } {
		let upstream = this.#places.get(`${host}:${port}`);
		// `http://crm/` may mean an upstream that speaks TLS on 443: it must not fall through to port 80 in the clear.
		if (upstream === undefined && scheme === 'http' && port === 80) {
			const secure = this.#places.get(`${host}:443`);
			if (secure?.config.tls !== undefined) upstream = secure;
		}
		if (upstream === undefined) {
			return {
				target: target({
					host,
					port,
					protocol: 'http',
					tls: scheme === 'https',
					...(scheme === 'https' ? { sni: host } : {}),
				}),
			};
		}
		if (upstream.config.protocol !== 'http')
			return { mismatch: `the upstream ${upstream.name} speaks ${upstream.config.protocol}, not http` };
		if (scheme === 'http' && upstream.config.tls !== undefined && !upstream.config.upgrade)
			return { mismatch: `http:// to the upstream ${upstream.name}, which has tls, without \`upgrade\`` };
		if (scheme === 'https' && upstream.config.tls === undefined)
			return { mismatch: `https:// to the upstream ${upstream.name}, which has no tls` };
		return { target: upstream.target, upstream };
	}

	/** What a captured connection was going to; `serverName` is what its TLS claims. */
	forCaptured({ address, port }: { readonly address: string; readonly port: number }, serverName?: string): Route {
		const { target: named, upstream } = this.forTunnel(serverName ?? address, port);
		return {
			target: target({ ...named, address, ...(serverName === undefined ? {} : { sni: serverName }) }),
			...(upstream === undefined ? {} : { upstream }),
		};
	}

	/** What CONNECT names. */
	forTunnel(host: string, port: number): Route {
		const upstream = this.#places.get(`${host}:${port}`);
		if (upstream !== undefined) return { target: upstream.tunnel, upstream };
		return { target: target({ host, port, protocol: 'tunnel', tls: false }) };
	}

	/**
	 * Where a session to this upstream leads, or a tunnel to this target, and how: equal texts are the same place reached
	 * in the same way. Undefined when it would not be opened.
	 */
	leadsTo(opened: { readonly door: string } | { readonly tunnel: Target }): string | undefined {
		const { target, upstream } =
			'door' in opened ? this.#forDoor(opened.door) : this.forTunnel(opened.tunnel.host, opened.tunnel.port);
		if (target === undefined || (upstream !== undefined && 'tunnel' in opened && isHiddenByTunnels(upstream)))
			return undefined;
		return JSON.stringify([target.json, upstream?.config.address, upstream?.config.tls]);
	}

	#forDoor(name: string): Partial<Route> {
		const upstream = this.#upstreams.get(name);
		return upstream === undefined ? {} : { target: upstream.target, upstream };
	}
}
