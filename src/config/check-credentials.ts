import { alikeName, isFieldName, NOT_FORWARDED } from '../formats/field-name.ts';
import { type CredentialConfig, type Secret, secretsOf, useAt } from './credential.ts';
import type { Config, UpstreamConfig } from './schema.ts';
import { type SecretUse, secretProblem } from './secret-text.ts';

type Path = readonly (string | number)[];
type Fail = (path: Path, message: string) => void;

export const HTTP_KINDS = ['header', 'bearer', 'basic', 'jwt_svid'] as const;

/** What no single value of `credentials` shows. */
export function checkCredentials({ upstreams, identity }: Config, fail: Fail): void {
	for (const [name, upstream] of Object.entries(upstreams)) {
		if (upstream.forward_client_cert && upstream.protocol !== 'http')
			fail(['upstreams', name, 'forward_client_cert'], 'is a header field, which only http has');
		const { credentials } = upstream;
		if (credentials === undefined) continue;
		if (upstream.tunnel === 'allow')
			fail(['upstreams', name, 'tunnel'], 'what is in a tunnel gets no `credentials`, and needs none to get past them');
		const names = new Set<string>();
		credentials.forEach((entry, index) => {
			const at = (...more: Path): Path => ['upstreams', name, 'credentials', index, ...more];
			checkKind(upstream, entry, at, fail);
			if (entry.name !== undefined && names.has(entry.name)) fail(at('name'), `two entries are named ${entry.name}`);
			names.add(entry.name ?? '');
			checkParts(entry, identity, at, fail);
		});
	}
}

/** Secrets and fields of an entry. */
export function checkParts(
	entry: Parameters<typeof secretsOf>[0],
	identity: Config['identity'],
	at: (...more: Path) => Path,
	fail: Fail,
): void {
	if (entry.jwt_svid !== undefined && identity.svid.workload_api === undefined)
		fail(at('jwt_svid'), 'comes from a Workload API, and there is no `identity.svid.workload_api`');
	if (entry.header !== undefined) checkField(entry.header.name, at('header', 'name'), fail);
	for (const { at: place, secret } of secretsOf(entry)) {
		const path = at(...place);
		const use = useAt(path);
		if (use !== undefined) checkSecret(secret, use, path, fail);
	}
}

/** What its grammar does not show. */
export function checkSecret(secret: Secret, use: SecretUse, path: Path, fail: Fail): void {
	if (typeof secret === 'string') {
		const problem = secretProblem(use, secret);
		if (problem !== undefined) fail(path, problem);
	} else if ('command' in secret) {
		if (secret.command[0] === '') fail([...path, 'command', 0], 'is empty: expected a program');
		if (secret.ttl < 1000) fail([...path, 'ttl'], 'expected 1s or more');
		if (secret.timeout === 0) fail([...path, 'timeout'], 'expected more than 0');
		if (secret.timeout !== undefined && secret.timeout >= secret.ttl)
			fail([...path, 'timeout'], 'expected less than `ttl`: what comes later is over already');
	}
}

function checkKind(
	{ protocol }: UpstreamConfig,
	entry: CredentialConfig,
	at: (...more: Path) => Path,
	fail: Fail,
): void {
	const kinds = HTTP_KINDS.filter(kind => entry[kind] !== undefined);
	if (protocol === 'http') {
		for (const key of ['username', 'password'] as const)
			if (entry[key] !== undefined) fail(at(key), 'is for postgres; for http it stands in `basic`');
		if (kinds.length !== 1) fail(at(), 'expected exactly one of `header`, `bearer`, `basic` and `jwt_svid`');
		return;
	}
	if (protocol !== 'postgres') {
		fail(at(), `there is no place for credentials in ${protocol}`);
		return;
	}
	for (const kind of kinds) fail(at(kind), 'is for http; for postgres there are `username` and `password`');
	for (const key of ['username', 'password'] as const) if (entry[key] === undefined) fail(at(key), 'is missing');
}

function checkField(name: string, path: Path, fail: Fail): void {
	if (!isFieldName(name)) fail(path, 'is no name of a header field');
	else if (NOT_FORWARDED.has(alikeName(name)))
		fail(path, `${name} is written by Sallyport itself, or for one hop only`);
}
