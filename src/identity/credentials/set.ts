import type { Entries, FieldEntry, LoginEntry } from './entries.ts';

/** How one entry of an upstream's `credentials` is. Times are milliseconds since the epoch. */
export interface CredentialStatus {
	readonly upstream: string;
	/** Its name, or its place in the list. */
	readonly credential: string;
	/** Whether calls can be given it now. */
	readonly valid: boolean;
	/** Where its parts come from. */
	readonly sources: readonly {
		readonly kind: 'text' | 'file' | 'command' | 'jwt_svid';
		/** Path, program or audience. */
		readonly from?: string;
		readonly since?: number;
		readonly expires?: number;
		readonly problem?: string;
	}[];
}

export interface UpstreamEntries {
	readonly fields: Entries<FieldEntry> | undefined;
	readonly logins: Entries<LoginEntry> | undefined;
}

/** The credentials of one configuration. */
export class CredentialSet {
	readonly #upstreams: ReadonlyMap<string, UpstreamEntries>;
	readonly #release: () => void;
	#closed = false;

	constructor(upstreams: ReadonlyMap<string, UpstreamEntries>, release: () => void) {
		this.#upstreams = upstreams;
		this.#release = release;
	}

	/** Of an `http` upstream; undefined when it has no `credentials`. */
	fields(upstream: string): Entries<FieldEntry> | undefined {
		return this.#upstreams.get(upstream)?.fields;
	}

	/** Of an upstream with a session protocol; undefined when it has no `credentials`. */
	logins(upstream: string): Entries<LoginEntry> | undefined {
		return this.#upstreams.get(upstream)?.logins;
	}

	status(): CredentialStatus[] {
		return [...this.#upstreams].flatMap(([upstream, { fields, logins }]) =>
			[...(fields?.all ?? []), ...(logins?.all ?? [])].map(({ label, values }) => ({
				upstream,
				credential: label,
				valid: values.every(value => value.current() !== undefined),
				sources: values.map(value => ({
					kind: value.kind,
					...(value.from === '' ? {} : { from: value.from }),
					...value.state(),
				})),
			})),
		);
	}

	/** Lets go of what no other set uses; once. */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#release();
	}
}
