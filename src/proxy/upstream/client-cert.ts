import { clientCertElement } from '../../formats/client-cert-field.ts';
import type { Identity } from '../../model/agent.ts';

/** What upstreams are told of agents in `x-forwarded-client-cert`: made once per identity. */
export class ClientCerts {
	readonly #ownId: () => string;
	readonly #made = new WeakMap<Identity, { readonly by: string; readonly text: string }>();

	constructor(ownId: () => string) {
		this.#ownId = ownId;
	}

	/** By, Hash and URI, as Envoy's `sanitize_set` with `uri: true`; without Hash where no certificate was shown. */
	of(identity: Identity): string {
		const by = this.#ownId();
		let made = this.#made.get(identity);
		if (made?.by !== by) {
			const { agent, fingerprint } = identity;
			const pairs: [string, string | undefined][] = [
				// Empty before there was an identity.
				['By', by === '' ? undefined : by],
				['Hash', fingerprint],
				['URI', agent.id],
			];
			const known = pairs.filter((pair): pair is [string, string] => pair[1] !== undefined);
			made = { by, text: clientCertElement(known) };
			this.#made.set(identity, made);
		}
		return made.text;
	}
}
