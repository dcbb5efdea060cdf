import { CLIENT_CERT_FIELD } from '../../formats/client-cert-field.ts';
import { alikeName } from '../../formats/field-name.ts';
import type { Entries, FieldEntry } from '../../identity/credentials/entries.ts';
import type { Identity } from '../../model/agent.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { Upstream } from '../upstream/route.ts';

export interface AdditionsDeps {
	/** The credentials of an upstream; undefined when it has none. */
	credentials(upstream: string): Entries<FieldEntry> | undefined;
	/** The agent as `x-forwarded-client-cert` tells of it. */
	clientCert(identity: Identity): string;
}

/** The fields of a request as they go out. */
export interface Outgoing {
	readonly headers: readonly string[];
	/** Texts that an answer must not bring back to the agent. */
	readonly secrets: readonly string[];
	/** Of the credential; an upstream connection serves one only. */
	readonly revision: string;
}

const NO_SECRETS: readonly string[] = [];

const noMatch = refused('no_credential');
const unavailable = refused('no_credential', 'the credential for this upstream is not available now');
const traced = refused('no_credential', 'TRACE would bring the credential back');

/**
 * What Sallyport adds to requests on their way to a declared upstream, and takes from them for it. Policy sees neither its
 * fields nor those of the agent's that they replace.
 */
export class Additions {
	readonly #entry: FieldEntry | undefined;
	readonly #clientCert: string | undefined;
	/** Why the request cannot be sent as it would have to be. */
	readonly refused: Refused | undefined;

	constructor(deps: AdditionsDeps, identity: Identity, upstream: Upstream, method: string) {
		const entries = deps.credentials(upstream.name);
		const entry = entries?.find(identity);
		this.#entry = entry;
		this.#clientCert = upstream.config.forward_client_cert ? deps.clientCert(identity) : undefined;
		if (entries === undefined) this.refused = undefined;
		else if (entry === undefined) this.refused = noMatch;
		// RFC 9110 §9.3.8: its answer holds the fields of the request.
		else if (method === 'TRACE') this.refused = traced;
		else this.refused = entry.field() === undefined ? unavailable : undefined;
	}

	/** The entry of `credentials` that is used, as records name it. */
	get credential(): string | undefined {
		return this.#entry?.label;
	}

	/** Takes the agent's own fields of the credential's name from the list, and those that some servers read for it. */
	strip(headers: string[]): void {
		if (this.#entry === undefined) return;
		const name = alikeName(this.#entry.name);
		let kept = 0;
		for (let index = 0; index + 1 < headers.length; index += 2) {
			if (alikeName(headers[index] as string) === name) continue;
			headers[kept++] = headers[index] as string;
			headers[kept++] = headers[index + 1] as string;
		}
		headers.length = kept;
	}

	/** The fields with what Sallyport adds, or why the call cannot go on: the credential may have ended meanwhile. */
	complete(headers: readonly string[]): Outgoing | Refused {
		const entry = this.#entry;
		const field = entry?.field();
		if (entry !== undefined && field === undefined) return unavailable;
		const whole = [...headers];
		if (field !== undefined) whole.push(field.name, field.value);
		if (this.#clientCert !== undefined) whole.push(CLIENT_CERT_FIELD, this.#clientCert);
		return { headers: whole, secrets: field?.secrets ?? NO_SECRETS, revision: field?.revision ?? '' };
	}
}

/** Undefined where nothing is added. */
export function additionsOf(
	deps: AdditionsDeps,
	identity: Identity,
	upstream: Upstream | undefined,
	method: string,
): Additions | undefined {
	if (upstream === undefined) return undefined;
	const { credentials, forward_client_cert: told } = upstream.config;
	return credentials === undefined && !told ? undefined : new Additions(deps, identity, upstream, method);
}

/** A request to which nothing is added. */
export const asItIs = (headers: readonly string[]): Outgoing => ({ headers, secrets: NO_SECRETS, revision: '' });
