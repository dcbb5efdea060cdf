import type { CredentialConfig, FieldCredential, Secret } from '../../config/credential.ts';
import type { Config } from '../../config/schema.ts';
import type { SecretUse } from '../../config/secret-text.ts';
import type { Clock } from '../../model/ports.ts';
import type { JwtSvid } from '../sources/source.ts';
import type { Broken } from '../trust.ts';
import { commandSource } from './command.ts';
import {
	basicForm,
	bearerForm,
	type CredentialField,
	Entries,
	FieldEntry,
	type FieldForm,
	headerForm,
	LoginEntry,
} from './entries.ts';
import { SecretFiles } from './file.ts';
import { jwtSvidSource } from './jwt-svid.ts';
import { RenewedValue } from './renewed.ts';
import { CredentialSet, type UpstreamEntries } from './set.ts';
import { type LivingSource, type LivingValue, TextValue, type ValueDeps } from './value.ts';

/** What a look at the source of a credential came to. */
export interface CredentialNews {
	readonly kind: LivingValue['kind'];
	/** Path, program or audience. */
	readonly from: string;
	/** Whether there is a valid value now, be it the one before. */
	readonly valid: boolean;
	/** Why there is no new one. Holds nothing secret. */
	readonly problem?: string;
}

export interface KeeperDeps {
	readonly clock: Clock;
	/** What programs are started with. */
	readonly environment: NodeJS.ProcessEnv;
	jwtSvid(audience: string): Promise<JwtSvid | Broken>;
	/** Told when a value or what is wrong with it changed. */
	readonly report: (news: CredentialNews) => void;
}

interface Held {
	readonly source: LivingSource;
	readonly started: Promise<void>;
	/** How many sets use it. */
	sets: number;
}

/**
 * Every credential that Sallyport holds for upstreams. A value is there once however many entries and configurations name
 * its source, so that a reload neither loses it nor fetches it again.
 */
export class CredentialKeeper {
	readonly #deps: KeeperDeps;
	readonly #held = new Map<string, Held>();
	/** Whose JWT-SVIDs there are. */
	#id: string | undefined;

	constructor(deps: KeeperDeps) {
		this.#deps = deps;
	}

	/** Opens the credentials of a configuration; resolves when each source was looked at, whatever was found. */
	async open(config: Pick<Config, 'upstreams'>): Promise<CredentialSet> {
		const used = new Map<string, Held>();
		const upstreams = new Map<string, UpstreamEntries>();
		for (const [name, { credentials, protocol }] of Object.entries(config.upstreams)) {
			if (credentials === undefined) continue;
			const http = protocol === 'http';
			upstreams.set(name, {
				fields: http
					? new Entries(
							credentials.map((one, at) => ({
								agents: one.agents,
								entry: this.#fieldOf(one, one.name ?? String(at), used),
							})),
						)
					: undefined,
				logins: http ? undefined : new Entries(credentials.map((one, at) => this.#loginOf(one, at, used))),
			});
		}
		await Promise.all([...used.values()].map(held => (held.sets++ === 0 ? held.started : held.source.refresh())));
		return new CredentialSet(upstreams, () => {
			for (const [key, held] of used) {
				held.sets--;
				if (held.sets > 0) continue;
				held.source.close();
				if (this.#held.get(key) === held) this.#held.delete(key);
			}
		});
	}

	/** A token that Sallyport shows in its own name, until the keeper is closed; resolves when its source was looked at. */
	async bearer(secret: Secret): Promise<LivingValue> {
		const used = new Map<string, Held>();
		const [value = new TextValue('')] = this.#secrets(used, [[secret, 'bearer']]);
		for (const held of used.values()) {
			held.sets++;
			await held.started;
		}
		return value;
	}

	/** The header field that a credential comes to which is no agent's matter: of a sink. Open until the end. */
	field(credential: FieldCredential): () => CredentialField | undefined {
		const used = new Map<string, Held>();
		const entry = this.#fieldOf(credential, '', used);
		for (const held of used.values()) held.sets++;
		return () => entry.field();
	}

	/** As {@link field}, for secrets as they are; undefined while one has no valid value. */
	texts(secrets: readonly Secret[]): () => readonly string[] | undefined {
		const used = new Map<string, Held>();
		const values = this.#secrets(
			used,
			secrets.map(secret => [secret, 'login'] as const),
		);
		for (const held of used.values()) held.sets++;
		return () => {
			const texts = values.map(value => value.current());
			return texts.includes(undefined) ? undefined : texts.map(text => text ?? '');
		};
	}

	/** After every change of Sallyport's identity, with its id: JWT-SVIDs of another one are not shown any more. */
	renewIdentity(id: string | undefined): void {
		if (id === this.#id) return;
		this.#id = id;
		for (const { source } of this.#held.values())
			if (source instanceof RenewedValue && source.kind === 'jwt_svid') void source.forget();
	}

	close(): void {
		for (const { source } of this.#held.values()) source.close();
		this.#held.clear();
	}

	#fieldOf(
		{ header, bearer, basic, jwt_svid: jwtSvid }: FieldCredential,
		label: string,
		used: Map<string, Held>,
	): FieldEntry {
		const made = (form: FieldForm, values: readonly LivingValue[]) => new FieldEntry(label, values, form);
		if (header !== undefined) return made(headerForm(header.name), this.#secrets(used, [[header.value, 'header']]));
		if (bearer !== undefined) return made(bearerForm, this.#secrets(used, [[bearer, 'bearer']]));
		if (basic !== undefined) {
			const { username, password } = basic;
			return made(
				basicForm,
				this.#secrets(used, [
					[username, 'basic_username'],
					[password, 'basic_password'],
				]),
			);
		}
		const audience = jwtSvid?.audience ?? '';
		const { clock } = this.#deps;
		const { values } = this.#take(
			`jwt_svid ${audience}`,
			used,
			deps =>
				new RenewedValue(
					jwtSvidSource(audience, of => this.#deps.jwtSvid(of), clock),
					deps,
				),
		);
		return made(bearerForm, values);
	}

	#loginOf(
		{ agents, username = '', password = '', name }: CredentialConfig,
		at: number,
		used: Map<string, Held>,
	): { readonly agents: readonly string[]; readonly entry: LoginEntry } {
		const values = this.#secrets(used, [
			[username, 'login'],
			[password, 'login'],
		]);
		return { agents, entry: new LoginEntry(name ?? String(at), values) };
	}

	/** The secrets of one entry, in order. Its files are one source. */
	#secrets(used: Map<string, Held>, secrets: readonly (readonly [Secret, SecretUse])[]): readonly LivingValue[] {
		const files = secrets.flatMap(([secret, use]) =>
			typeof secret === 'object' && 'file' in secret ? [{ path: secret.file, use }] : [],
		);
		const read =
			files.length === 0
				? undefined
				: this.#take(`file ${JSON.stringify(files)}`, used, deps => new SecretFiles(files, deps)).values;
		let next = 0;
		return secrets.flatMap(([secret, use]) => {
			if (typeof secret === 'string') return [new TextValue(secret)];
			if ('file' in secret) return read?.slice(next, ++next) ?? [];
			const { command, ttl, timeout } = secret;
			return this.#take(
				`command ${use} ${JSON.stringify([command, ttl, timeout])}`,
				used,
				deps => new RenewedValue(commandSource(secret, use, this.#deps), deps),
			).values;
		});
	}

	/** The source of this key, which is opened if no set has it open. */
	#take(key: string, used: Map<string, Held>, make: (deps: ValueDeps) => LivingSource): LivingSource {
		let held = used.get(key) ?? this.#held.get(key);
		if (held === undefined) {
			const source: LivingSource = make({ clock: this.#deps.clock, news: () => this.#tell(source) });
			held = { source, started: source.start(), sets: 0 };
			this.#held.set(key, held);
		}
		used.set(key, held);
		return held.source;
	}

	#tell(source: LivingSource): void {
		const { kind, from, values } = source;
		const { problem } = source.state();
		this.#deps.report({
			kind,
			from,
			valid: values.every(value => value.current() !== undefined),
			...(problem === undefined ? {} : { problem }),
		});
	}
}
