import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isMap, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import { check } from './check.ts';
import { issueProblems } from './issue.ts';
import { freeze, type Loaded, type Problem } from './loaded.ts';
import { decimalModes } from './octal.ts';
import { type Config, schema } from './schema.ts';

type Path = readonly (string | number)[];

const MAX_BYTES = 1024 * 1024;

export interface LoadOptions {
	/** Leave user names and passwords of upstreams unread: for commands that need neither and may not be able to. */
	readonly withoutCredentials?: boolean;
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
	{ withoutCredentials = false, files = () => [] }: LoadOptions = {},
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
			const next: Node | null | undefined =
				isMap(node) || isSeq(node) ? (node.get(part, true) as Node | undefined) : undefined;
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
	const unread = (path: Path): boolean => withoutCredentials && path[0] === 'upstreams' && path[2] === 'credentials';
	const resolved = resolveStrings(raw, [], {
		directory,
		env,
		unread,
		fail: (path, message) => found.push(problem(path, message)),
	});
	if (found.length > 0) return { file, problems: found };

	const result = schema.safeParse(resolved);
	if (!result.success) return { file, problems: result.error.issues.flatMap(issue => issueProblems(issue, problem)) };
	const config = absolutePaths(result.data, directory);
	check(config, (path, message) => found.push(problem(path, message)));
	if (found.length > 0) return { file, problems: found };
	const missing = files(config).map(({ path, message }) => problem(path, message));
	return { file, directory, config: freeze(config), missing };
}

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
	readonly fail: (path: Path, message: string) => void;
}

/** Stands for what was not read. */
const UNREAD = '-';

/** Replaces `{ env: NAME }` and `{ file: path }`, wherever they stand, by the string that they name. */
function resolveStrings(value: unknown, path: Path, means: Means): unknown {
	const { directory, env, fail } = means;
	if (Array.isArray(value)) return value.map((item, index) => resolveStrings(item, [...path, index], means));
	if (typeof value !== 'object' || value === null) return value;
	const entries = Object.entries(value);
	const [only] = entries;
	if (entries.length === 1 && only !== undefined && typeof only[1] === 'string') {
		if ((only[0] === 'env' || only[0] === 'file') && means.unread(path)) return UNREAD;
		if (only[0] === 'env') {
			const held = env[only[1]];
			if (held !== undefined && held !== '') return held;
			fail(path, `the environment variable ${only[1]} is not set`);
			return '';
		}
		if (only[0] === 'file' && isReference(path)) {
			try {
				return readFileSync(resolve(directory, only[1]), 'utf8').replace(/\r?\n$/, '');
			} catch (error) {
				fail(path, `the file ${only[1]} cannot be read (${(error as NodeJS.ErrnoException).code})`);
				return '';
			}
		}
	}
	return Object.fromEntries(entries.map(([key, item]) => [key, resolveStrings(item, [...path, key], means)]));
}

/** `{ file: … }` in the list of sinks is a sink, everywhere else the name of a file that holds the string. */
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
			...(config.policy.opa === undefined ? {} : { opa: at(config.policy.opa) }),
			...(config.policy.files === undefined ? {} : { files: config.policy.files.map(at) }),
			...(config.policy.bundles === undefined
				? {}
				: {
						bundles: config.policy.bundles.map(bundle => ({
							...bundle,
							...(bundle.path === undefined ? {} : { path: at(bundle.path) }),
							...(bundle.files === undefined ? {} : { files: bundle.files.map(at) }),
						})),
					}),
		},
		listeners: config.listeners.map(listener => ({
			...listener,
			address: socket(listener.address),
			authenticate:
				typeof listener.authenticate === 'object' && 'token' in listener.authenticate
					? { token: { ...listener.authenticate.token, directory: at(listener.authenticate.token.directory) } }
					: listener.authenticate,
		})),
		upstreams: Object.fromEntries(
			Object.entries(config.upstreams).map(([name, upstream]) => [
				name,
				{
					...upstream,
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
				'file' in sink ? { file: { ...sink.file, path: at(sink.file.path) } } : sink,
			),
		},
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

function identityAt({ svid, trust_bundles: bundles, ...rest }: Config['identity'], at: (path: string) => string) {
	const { files } = svid;
	return {
		...rest,
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
