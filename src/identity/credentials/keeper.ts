import type { CredentialConfig, Secret, SecretUse } from '../../config/credential.ts';
import type { Config } from '../../config/schema.ts';
import type { Clock } from '../../model/ports.ts';
import type { JwtSvid } from '../sources/source.ts';
import type { Broken } from '../trust.ts';
import { commandSource } from './command.ts';
import { basicForm, bearerForm, Entries, FieldEntry, headerForm, LoginEntry } from './entries.ts';
import { FileValue } from './file.ts';
import { jwtSvidSource } from './jwt-svid.ts';
import { RenewedValue } from './renewed.ts';
import { CredentialSet, type UpstreamEntries } from './set.ts';
import { type LivingValue, TextValue, type ValueDeps } from './value.ts';

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
	readonly value: LivingValue;
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
				fields: http ? new Entries(credentials.map((one, at) => this.#fieldOf(one, at, used))) : undefined,
				logins: http ? undefined : new Entries(credentials.map((one, at) => this.#loginOf(one, at, used))),
			});
		}
		for (const held of used.values()) held.sets++;
		await Promise.all([...used.values()].map(({ started }) => started));
		return new CredentialSet(upstreams, () => {
			for (const [key, held] of used) {
				held.sets--;
				if (held.sets > 0) continue;
				held.value.close();
				this.#held.delete(key);
			}
		});
	}

	/** After every change of Sallyport's identity, with its id: JWT-SVIDs of another one are not shown any more. */
	renewIdentity(id: string | undefined): void {
		if (id === this.#id) return;
		this.#id = id;
		for (const { value } of this.#held.values())
			if (value instanceof RenewedValue && value.kind === 'jwt_svid') void value.forget();
	}

	close(): void {
		for (const { value } of this.#held.values()) value.close();
		this.#held.clear();
	}

	#fieldOf(
		entry: CredentialConfig,
		at: number,
		used: Map<string, Held>,
	): { readonly agents: readonly string[]; readonly entry: FieldEntry } {
		const { agents, header, bearer, basic, jwt_svid: jwtSvid, name: label = String(at) } = entry;
		const made = (form: ConstructorParameters<typeof FieldEntry>[2], ...values: readonly LivingValue[]) => ({
			agents,
			entry: new FieldEntry(label, values, form),
		});
		if (header !== undefined) return made(headerForm(header.name), this.#secret(header.value, 'header', used));
		if (bearer !== undefined) return made(bearerForm, this.#secret(bearer, 'bearer', used));
		if (basic !== undefined)
			return made(
				basicForm,
				this.#secret(basic.username, 'basic_username', used),
				this.#secret(basic.password, 'basic_password', used),
			);
		const audience = jwtSvid?.audience ?? '';
		const { clock } = this.#deps;
		return made(
			bearerForm,
			this.#take(
				`jwt_svid ${audience}`,
				used,
				deps =>
					new RenewedValue(
						jwtSvidSource(audience, of => this.#deps.jwtSvid(of), clock),
						deps,
					),
			),
		);
	}

	#loginOf(
		{ agents, username = '', password = '', name }: CredentialConfig,
		at: number,
		used: Map<string, Held>,
	): { readonly agents: readonly string[]; readonly entry: LoginEntry } {
		const user = this.#secret(username, 'login', used);
		return { agents, entry: new LoginEntry(name ?? String(at), user, this.#secret(password, 'login', used)) };
	}

	#secret(secret: Secret, use: SecretUse, used: Map<string, Held>): LivingValue {
		if (typeof secret === 'string') return new TextValue(secret);
		if ('file' in secret)
			return this.#take(`file ${use} ${secret.file}`, used, deps => new FileValue(secret.file, use, deps));
		const { command, ttl, timeout } = secret;
		return this.#take(
			`command ${use} ${JSON.stringify([command, ttl, timeout])}`,
			used,
			deps => new RenewedValue(commandSource(secret, use, this.#deps), deps),
		);
	}

	/** The value of a source, which is opened if no set has it open. */
	#take(key: string, used: Map<string, Held>, make: (deps: ValueDeps) => LivingValue): LivingValue {
		let held = used.get(key) ?? this.#held.get(key);
		if (held === undefined) {
			const value: LivingValue = make({ clock: this.#deps.clock, news: () => this.#tell(value) });
			held = { value, started: value.start(), sets: 0 };
			this.#held.set(key, held);
		}
		used.set(key, held);
		return held.value;
	}

	#tell(value: LivingValue): void {
		const { problem } = value.state();
		const { kind, from } = value;
		this.#deps.report({
			kind,
			from,
			valid: value.current() !== undefined,
			...(problem === undefined ? {} : { problem }),
		});
	}
}
