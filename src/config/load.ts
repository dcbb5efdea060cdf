import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isMap, isSeq, LineCounter, type Node, parseDocument, visit, type YAMLMap, type YAMLSeq } from 'yaml';
import { check } from './check.ts';
import { type FieldCredential, isOfCredentials, type Secret, useAt } from './credential.ts';
import { issueProblems } from './issue.ts';
import { freeze, type Loaded, type Problem } from './loaded.ts';
import { decimalModes } from './octal.ts';
import type { PolicyBundleConfig } from './policy-bundle.ts';
import { type Config, schema } from './schema.ts';
import { secretProblem, secretText } from './secret-text.ts';
import { sinkAt } from './sinks.ts';
import { telemetryAt } from './telemetry.ts';
import { warn } from './warnings.ts';
import type { WayConfig } from './ways.ts';

type Path = readonly (string | number)[];

const MAX_BYTES = 1024 * 1024;

export interface LoadOptions {
	/** Leave user names and passwords of upstreams unread: for commands that need neither and may not be able to. */
	readonly withoutCredentials?: boolean;
	/** Leave files of secrets unread: for where they are not. */
	readonly withoutFiles?: boolean;
	/** Looks into the files that a good configuration names; what it finds leaves the configuration good. */
	readonly files?: (config: Config) => readonly { readonly path: Path; readonly message: string }[];
}

/** Reads, resolves `{env}` and `{file}`, validates as a whole and freezes. Never throws. */
export function loadConfig(file: string, env: NodeJS.ProcessEnv, options: LoadOptions = {}): Loaded {
	const whole = resolve(file);
	let text: string;
	try {
		text = readFileSync(whole, 'utf8');
	} catch (error) {
		const code = (error as NodeJS.ErrnoException).code;
		const message =
			code === 'ENOENT' ? 'there is no such file; `sallyport init` makes one' : `cannot be read (${code})`;
		return { file: whole, problems: [{ line: 0, column: 0, path: '', message }] };
	}
	return parseConfig(text, whole, env, options);
}

/** As {@link loadConfig}, for text that is at hand. `file` gives the folder that paths are relative to. */
export function parseConfig(
	text: string,
	file: string,
	env: NodeJS.ProcessEnv,
	{ withoutCredentials = false, withoutFiles = false, files = () => [] }: LoadOptions = {},
): Loaded {
	const lines = new LineCounter();
	if (text.length > MAX_BYTES)
		return { file, problems: [{ line: 1, column: 1, path: '', message: 'larger than 1 MiB' }] };
	const document = parseDocument(text, {
		lineCounter: lines,
		uniqueKeys: true,
		strict: true,
		version: '1.2',
		logLevel: 'error',
	});
	if (document.errors.length > 0) {
		return {
			file,
			problems: document.errors.map(error => {
				const at = lines.linePos(error.pos[0]);
				return {
					line: at.line,
					column: at.col,
					path: '',
					message: (error.message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, ''),
				};
			}),
		};
	}
	const locate = (path: Path): { line: number; column: number } => {
		let node: unknown = document.contents;
		let offset = 0;
		for (const part of path) {
			const next = isMap(node) || isSeq(node) ? childOf(node, part) : undefined;
			if (next?.range === undefined || next.range === null) break;
			offset = next.range[0];
			node = next;
		}
		const at = lines.linePos(offset);
		return { line: at.line, column: at.col };
	};
	const problem = (path: Path, message: string): Problem => ({ ...locate(path), path: pathText(path), message });

	const found: Problem[] = [];
	const directory = dirname(file);
	visit(document, {
		Alias: (_, node) => {
			const at = lines.linePos(node.range?.[0] ?? 0);
			found.push({ line: at.line, column: at.col, path: '', message: 'aliases are not taken; write the value out' });
		},
	});
	for (const { path, message } of decimalModes(document)) found.push(problem(path, message));
	if (found.length > 0) return { file, problems: found };
	const raw: unknown = document.toJS({ maxAliasCount: 0 }) ?? {};
	const unread = (path: Path): boolean => withoutCredentials && (isOfCredentials(path) || useAt(path) !== undefined);
	const resolved = resolveStrings(raw, [], {
		directory,
		env,
		unread,
		withoutFiles,
		fail: (path, message) => found.push(problem(path, message)),
	});
	if (found.length > 0) return { file, problems: found };

	const result = schema.safeParse(resolved);
	if (!result.success) return { file, problems: result.error.issues.flatMap(issue => issueProblems(issue, problem)) };
	const config = absolutePaths(result.data, directory);
	check(config, (path, message) => found.push(problem(path, message)));
	if (found.length > 0) return { file, problems: found };
	const warnings: Problem[] = [];
	warn(config, (path, message) => warnings.push(problem(path, message)));
	const missing = files(config).map(({ path, message }) => problem(path, message));
	return { file, directory, config: freeze(config), warnings, missing };
}

/** A key that is written as a number, such as a user id, is one in the document and a string in the configuration. */
const childOf = (node: YAMLMap | YAMLSeq, part: string | number): Node | null | undefined =>
	(node.get(part, true) ??
		(isMap(node) && /^\d{1,15}$/.test(String(part)) ? node.get(Number(part), true) : undefined)) as Node | undefined;

const pathText = (path: Path): string =>
	path.reduce<string>(
		(text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
		'',
	);

interface Means {
	readonly directory: string;
	readonly env: NodeJS.ProcessEnv;
	/** Whether the reference at this path stays unread. */
	readonly unread: (path: Path) => boolean;
	/** Whether files of secrets stay unread. */
	readonly withoutFiles: boolean;
	readonly fail: (path: Path, message: string) => void;
}

/** Stands for what was not read. */
const UNREAD = '-';

/**
 * Replaces `{ env: NAME }` and `{ file: path }`, wherever they stand, by the string that they name; a file of `credentials`
 * by its whole path, since it is read again whenever it changes.
 */
function resolveStrings(value: unknown, path: Path, means: Means): unknown {
	const { directory, env, fail } = means;
	if (Array.isArray(value)) return value.map((item, index) => resolveStrings(item, [...path, index], means));
	if (typeof value !== 'object' || value === null) return value;
	const entries = Object.entries(value);
	let [only] = entries;
	// The name of a file may be a reference itself.
	if (entries.length === 1 && only?.[0] === 'file' && isReference(path) && !means.unread(path))
		only = ['file', resolveStrings(only[1], [...path, 'file'], means)];
	if (entries.length === 1 && only !== undefined && typeof only[1] === 'string') {
		if ((only[0] === 'env' || only[0] === 'file') && means.unread(path)) return UNREAD;
		if (only[0] === 'env') {
			const held = env[only[1]];
			if (held !== undefined && held !== '') return held;
			fail(path, `the environment variable ${only[1]} is not set`);
			return '';
		}
		if (only[0] === 'file' && isReference(path)) {
			const use = useAt(path);
			const whole = resolve(directory, only[1]);
			if (means.withoutFiles && use !== undefined) return { file: whole };
			try {
				if (use === undefined) return readFileSync(whole, 'utf8').replace(/\r?\n$/, '');
				const text = secretText(readFileSync(whole));
				const problem = text === undefined ? 'is not UTF-8' : secretProblem(use, text);
				if (problem !== undefined) fail(path, `the file ${only[1]} ${problem}`);
				return { file: whole };
			} catch (error) {
				fail(path, `the file ${only[1]} cannot be read (${(error as NodeJS.ErrnoException).code})`);
				return '';
			}
		}
	}
	return Object.fromEntries(entries.map(([key, item]) => [key, resolveStrings(item, [...path, key], means)]));
}

/** `{ file: … }` in the list of sinks is a sink, everywhere else a file that holds the string. */
const isReference = (path: Path): boolean => !(path[0] === 'audit' && path[1] === 'sinks' && path.length === 3);

function absolutePaths(config: Config, directory: string): Config {
	const at = (path: string): string => resolve(directory, path);
	const socket = <A extends { kind: string }>(address: A): A =>
		address.kind === 'unix' && 'path' in address && typeof address.path === 'string'
			? { ...address, path: at(address.path) }
			: address;
	return {
		...config,
		identity: identityAt(config.identity, at),
		policy: {
			...config.policy,
			keep: at(config.policy.keep),
			...(config.policy.status === undefined
				? {}
				: { status: { ...config.policy.status, ...serverAt(config.policy.status, at) } }),
			...(config.policy.opa === undefined ? {} : { opa: at(config.policy.opa) }),
			...(config.policy.files === undefined ? {} : { files: config.policy.files.map(at) }),
			...(config.policy.bundles === undefined
				? {}
				: {
						bundles: config.policy.bundles.map(bundle => ({
							...bundle,
							...(bundle.path === undefined ? {} : { path: at(bundle.path) }),
							...(bundle.files === undefined ? {} : { files: bundle.files.map(at) }),
							...bundleAt(bundle, at),
						})),
					}),
		},
		listeners: config.listeners.map(listener => ({
			...listener,
			address: socket(listener.address),
			authenticate: Array.isArray(listener.authenticate)
				? listener.authenticate.map(way => wayAt(way, at))
				: wayAt(listener.authenticate, at),
		})),
		upstreams: Object.fromEntries(
			Object.entries(config.upstreams).map(([name, upstream]) => [
				name,
				{
					...upstream,
					...(upstream.credentials === undefined ? {} : { credentials: credentialsAt(upstream.credentials, at) }),
					...(upstream.tls?.trust_bundle === undefined
						? {}
						: { tls: { ...upstream.tls, trust_bundle: at(upstream.tls.trust_bundle) } }),
				},
			]),
		),
		audit: {
			...config.audit,
			directory: at(config.audit.directory),
			...(config.audit.key === undefined ? {} : { key: at(config.audit.key) }),
			sinks: config.audit.sinks.map(sink =>
				sinkAt(sink, {
					at,
					credentialAt: credential => credentialAt(credential, at),
					secretAt: secret => secretAt(secret, at),
				}),
			),
		},
		state: { sqlite: at(config.state.sqlite) },
		telemetry: telemetryAt(config.telemetry, at, credential => credentialAt(credential, at)),
		admin: {
			...(config.admin.health === undefined ? {} : { health: { address: socket(config.admin.health.address) } }),
			...(config.admin.control === undefined
				? {}
				: {
						control: {
							...config.admin.control,
							...(config.admin.control.socket === undefined ? {} : { socket: at(config.admin.control.socket) }),
							...(config.admin.control.address === undefined ? {} : { address: socket(config.admin.control.address) }),
						},
					}),
		},
	};
}

type Credentials = NonNullable<Config['upstreams'][string]['credentials']>;

const credentialsAt = (entries: Credentials, at: (path: string) => string): Credentials =>
	entries.map(({ username, password, ...entry }) => ({
		...credentialAt(entry, at),
		...(username === undefined ? {} : { username: secretAt(username, at) }),
		...(password === undefined ? {} : { password: secretAt(password, at) }),
	}));

function credentialAt<C extends FieldCredential>({ header, bearer, basic, ...entry }: C, at: (path: string) => string) {
	return {
		...entry,
		...(header === undefined ? {} : { header: { ...header, value: secretAt(header.value, at) } }),
		...(bearer === undefined ? {} : { bearer: secretAt(bearer, at) }),
		...(basic === undefined
			? {}
			: { basic: { username: secretAt(basic.username, at), password: secretAt(basic.password, at) } }),
	};
}

/** A program that is named by a path, and not by its name alone, stands relative to the configuration too. */
function secretAt(secret: Secret, at: (path: string) => string): Secret {
	if (typeof secret === 'string') return secret;
	if ('file' in secret) return { file: at(secret.file) };
	const [program = '', ...rest] = secret.command;
	return program.includes('/') ? { ...secret, command: [at(program), ...rest] } : secret;
}

const serverAt = (
	{ roots, bearer }: { readonly roots?: string | undefined; readonly bearer?: Secret | undefined },
	at: (path: string) => string,
) => ({
	...(roots === undefined ? {} : { roots: at(roots) }),
	...(bearer === undefined ? {} : { bearer: secretAt(bearer, at) }),
});

/** What a bundle names beside its sources. */
function bundleAt({ verify, ...server }: PolicyBundleConfig, at: (path: string) => string) {
	const { key, keys } = verify ?? {};
	return {
		...serverAt(server, at),
		...(verify === undefined
			? {}
			: {
					verify: {
						...verify,
						...(key === undefined ? {} : { key: at(key) }),
						...(keys === undefined
							? {}
							: {
									keys: Object.fromEntries(
										Object.entries(keys).map(([id, named]) => [id, { ...named, key: at(named.key) }]),
									),
								}),
					},
				}),
	};
}

const wayAt = (way: WayConfig, at: (path: string) => string): WayConfig =>
	way !== 'mtls' && 'token' in way ? { token: { ...way.token, directory: at(way.token.directory) } } : way;

function identityAt(
	{ svid, trust_bundles: bundles, revocations, ...rest }: Config['identity'],
	at: (path: string) => string,
) {
	const { files } = svid;
	return {
		...rest,
		...(revocations === undefined
			? {}
			: {
					revocations: {
						...revocations,
						verify_key: at(revocations.verify_key),
						...(revocations.file === undefined ? {} : { file: at(revocations.file) }),
						...(revocations.roots === undefined ? {} : { roots: at(revocations.roots) }),
					},
				}),
		svid:
			files === undefined
				? svid
				: {
						...svid,
						files: {
							certificate: at(files.certificate),
							key: at(files.key),
							trust_bundle: at(files.trust_bundle),
							...(files.jwt_bundle === undefined ? {} : { jwt_bundle: at(files.jwt_bundle) }),
						},
					},
		trust_bundles: Object.fromEntries(
			Object.entries(bundles).map(([domain, { files: paths, https_web: endpoint }]) => [
				domain,
				{
					...(paths === undefined ? {} : { files: paths.map(at) }),
					...(endpoint === undefined
						? {}
						: { https_web: { ...endpoint, ...(endpoint.roots === undefined ? {} : { roots: at(endpoint.roots) }) } }),
				},
			]),
		),
	};
}
