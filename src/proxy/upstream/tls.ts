import { isIP } from 'node:net';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { type Refused, refused } from '../../model/cause.ts';
import type { Target } from '../../model/target.ts';
import type { UpstreamTls } from './dial.ts';
import type { Upstream } from './route.ts';

export interface UpstreamTlsDeps {
	upstream(name: string): Upstream | undefined;
	/** Sallyport's own certificate and key; undefined while it has none. */
	svid(): { readonly cert: string; readonly key: string } | undefined;
	/** PEM CAs of the own trust bundles. */
	trustAnchors(): readonly string[];
	/** Judges the SVID of an upstream that must have this id; by the trust bundle that the upstream names, or the own one. */
	judge(socket: TLSSocket, spiffeId: string, upstream: string): Refused | undefined;
	/** PEM texts of the trust bundles that upstreams name, by upstream. */
	trustBundle(upstream: string): string | undefined;
}

/** What Sallyport shows and demands as a TLS client; contexts are made once per upstream and revision. */
export class UpstreamContexts {
	readonly #deps: UpstreamTlsDeps;
	#contexts = new Map<string, SecureContext>();

	constructor(deps: UpstreamTlsDeps) {
		this.#deps = deps;
	}

	/** After a change of SVID, trust bundle or configuration. */
	renew(): void {
		this.#contexts = new Map();
	}

	/** Undefined when the target is spoken to in the clear. */
	of(target: Target): UpstreamTls | Refused | undefined {
		if (!target.tls) return undefined;
		const upstream = target.upstream === undefined ? undefined : this.#deps.upstream(target.upstream);
		const tls = upstream?.config.tls;
		const secureContext = this.#context(upstream);
		if ('cause' in secureContext) return secureContext;
		const name = target.sni ?? target.host;
		const common = {
			secureContext,
			host: name,
			// SNI carries names only (RFC 6066 §3); an address is checked against the certificate all the same.
			...(isIP(name) === 0 ? { servername: name } : { servername: '' }),
		};
		const expected = tls?.spiffe_id;
		if (expected === undefined || upstream === undefined) return { options: { ...common, rejectUnauthorized: true } };
		return {
			// An SVID is known by its id and needs no name; Node's verdict on the name would stand for that on the chain.
			options: { ...common, rejectUnauthorized: false, checkServerIdentity: () => undefined },
			judge: socket => this.#deps.judge(socket, expected, upstream.name),
		};
	}

	#context(upstream: Upstream | undefined): SecureContext | Refused {
		const key = upstream?.name ?? '';
		let context = this.#contexts.get(key);
		if (context === undefined) {
			const own = upstream?.config.tls?.present_svid === true ? this.#deps.svid() : {};
			// Without it the upstream would take Sallyport for nobody, and might serve nobody too.
			if (own === undefined) return refused('upstream_tls', 'Sallyport has no SVID to show');
			// A SPIFFE ID is judged by the own trust bundle unless another is named, a host name by the system's roots.
			const named =
				upstream === undefined
					? undefined
					: this.#deps.trustBundle(upstream.name)?.split(/(?<=-----END CERTIFICATE-----)/);
			const ca = named ?? (upstream?.config.tls?.spiffe_id === undefined ? undefined : this.#deps.trustAnchors());
			context = createSecureContext({
				minVersion: 'TLSv1.2',
				...(ca === undefined ? {} : { ca: [...ca], allowPartialTrustChain: true }),
				...own,
			});
			this.#contexts.set(key, context);
		}
		return context;
	}
}
