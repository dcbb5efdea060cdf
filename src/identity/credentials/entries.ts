import { type IdMatcher, matchesAny } from '../../formats/spiffe-pattern.ts';
import type { Identity } from '../../model/agent.ts';
import type { LivingValue } from './value.ts';

/** A header field as it goes to an upstream. */
export interface CredentialField {
	/** Lower case. */
	readonly name: string;
	readonly value: string;
	/** The texts by which an echo of it is known. */
	readonly secrets: readonly string[];
	/** Another one for every other value. */
	readonly revision: string;
}

export interface Login {
	readonly username: string;
	readonly password: string;
}

/** One entry of an upstream's `credentials`. */
interface Entry {
	/** Its name, or its place in the list: what records say of it. */
	readonly label: string;
	readonly values: readonly LivingValue[];
}

/** How the parts of an HTTP credential become a field. */
export interface FieldForm {
	/** Lower case. */
	readonly name: string;
	write(parts: readonly string[]): { readonly value: string; readonly secrets: readonly string[] };
}

export const bearerForm: FieldForm = {
	name: 'authorization',
	write: ([token = '']) => ({ value: `Bearer ${token}`, secrets: [token] }),
};

/** RFC 7617, in UTF-8. */
export const basicForm: FieldForm = {
	name: 'authorization',
	write: ([username = '', password = '']) => {
		const pair = Buffer.from(`${username}:${password}`).toString('base64');
		return { value: `Basic ${pair}`, secrets: [pair, password] };
	},
};

export const headerForm = (name: string): FieldForm => ({
	name,
	write: ([value = '']) => ({ value, secrets: [value] }),
});

/** A credential for HTTP. */
export class FieldEntry implements Entry {
	readonly label: string;
	readonly values: readonly LivingValue[];
	/** The field's name, lower case. */
	readonly name: string;
	readonly #form: FieldForm;
	/** What the field was made of. */
	#parts: readonly string[] = [];
	#field: CredentialField | undefined;
	#revision = 0;

	constructor(label: string, values: readonly LivingValue[], form: FieldForm) {
		this.label = label;
		this.values = values;
		this.name = form.name;
		this.#form = form;
	}

	/** Undefined while a part of it has no valid value. */
	field(): CredentialField | undefined {
		let same = this.#field !== undefined;
		for (let index = 0; index < this.values.length; index++) {
			const part = this.values[index]?.current();
			if (part === undefined) return undefined;
			same &&= part === this.#parts[index];
		}
		if (same) return this.#field;
		this.#parts = this.values.map(value => value.current() ?? '');
		this.#field = {
			name: this.name,
			...this.#form.write(this.#parts),
			revision: `${this.label}.${++this.#revision}`,
		};
		return this.#field;
	}
}

/** A credential of user name and password, for session protocols. */
export class LoginEntry implements Entry {
	readonly label: string;
	readonly values: readonly LivingValue[];

	/** User name and password. */
	constructor(label: string, values: readonly LivingValue[]) {
		this.label = label;
		this.values = values;
	}

	/** Who Sallyport is at the upstream; undefined while that is not known. */
	user(): string | undefined {
		return this.values[0]?.current();
	}

	/** Undefined while a part of it has no valid value. */
	login(): Login | undefined {
		const [username, password] = this.values.map(value => value.current());
		return username === undefined || password === undefined ? undefined : { username, password };
	}
}

/** The entries of one upstream, in order. */
export class Entries<E extends Entry> {
	readonly all: readonly E[];
	readonly #matchers: readonly IdMatcher[];
	/** Which one an agent has: patterns are matched once per identity. */
	readonly #known = new WeakMap<Identity, { readonly entry: E | undefined }>();

	constructor(entries: readonly { readonly agents: readonly string[]; readonly entry: E }[]) {
		this.all = entries.map(({ entry }) => entry);
		this.#matchers = entries.map(({ agents }) => matchesAny(agents));
	}

	/** The first that matches; undefined denies. */
	find(identity: Identity): E | undefined {
		let known = this.#known.get(identity);
		if (known === undefined) {
			const at = this.#matchers.findIndex(matches => matches(identity.agent.id));
			known = { entry: this.all[at] };
			this.#known.set(identity, known);
		}
		return known.entry;
	}
}
