import type { SessionStep } from '../contract.ts';
import { ALPN } from './messages.ts';
import { type Bad, readFirst, type Startup } from './startup.ts';

const NO: Buffer = Buffer.from('N');
const YES: Buffer = Buffer.from('S');
const EMPTY: Buffer = Buffer.alloc(0);

/** Where the first packets lead; what was not read of them is `rest`. */
export type FirstResult =
	| { readonly kind: 'more'; readonly rest: Buffer }
	/** The last step starts TLS. */
	| { readonly kind: 'tls' }
	| { readonly kind: 'startup'; readonly startup: Startup; readonly rest: Buffer }
	| { readonly kind: 'cancel'; readonly key: Buffer }
	| Bad;

/** The agent's packets up to its start-up message or cancel request, and the negotiation of encryption in them. */
export class FirstPackets {
	readonly #offersTls: boolean;
	#secure = false;
	#direct = false;
	#askedSsl = false;
	#askedGss = false;

	constructor(offersTls: boolean) {
		this.#offersTls = offersTls;
	}

	/** TLS is there; a text says why it will not do. */
	secured(alpn: string | undefined): string | undefined {
		this.#secure = true;
		// Without ALPN, bytes meant for another protocol could be taken for Postgres (ALPACA).
		return this.#direct && alpn !== ALPN[0] ? 'direct TLS needs ALPN postgresql' : undefined;
	}

	/** Reads what there is; adds to `steps` what is to be done for it. */
	read(held: Buffer, steps: SessionStep[]): FirstResult {
		let rest = held;
		for (;;) {
			const first = readFirst(rest);
			switch (first.kind) {
				case 'more':
					return { kind: 'more', rest };
				case 'tls':
					if (this.#secure || this.#askedSsl || this.#askedGss || !this.#offersTls) {
						return { kind: 'bad', detail: 'a TLS handshake where none may be' };
					}
					this.#direct = true;
					steps.push({ kind: 'startTls', side: 'agent', alpn: ALPN, unread: rest });
					return { kind: 'tls' };
				case 'ssl':
					if (this.#secure || this.#askedSsl) return { kind: 'bad', detail: 'a second request for encryption' };
					this.#askedSsl = true;
					// CVE-2021-23222: what is here already was sent in the clear and may not count as the agent's.
					if (first.rest.length > 0) return { kind: 'bad', detail: 'bytes before the TLS handshake' };
					if (!this.#offersTls) {
						steps.push({ kind: 'toAgent', data: NO });
						return { kind: 'more', rest: EMPTY };
					}
					steps.push({ kind: 'toAgent', data: YES }, { kind: 'startTls', side: 'agent', alpn: ALPN });
					return { kind: 'tls' };
				case 'gss':
					if (this.#secure || this.#askedGss) return { kind: 'bad', detail: 'a second request for encryption' };
					this.#askedGss = true;
					// `N` and not an error: some clients open a new connection after an error.
					steps.push({ kind: 'toAgent', data: NO });
					rest = first.rest;
					break;
				default:
					return first;
			}
		}
	}
}
