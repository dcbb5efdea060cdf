import { checkParts, checkSecret, HTTP_KINDS } from './check-credentials.ts';
import type { Config } from './schema.ts';
import { settingsOf, sinkKey, sinkNamed } from './sink-name.ts';
import type { NatsConfig, RemoteConfig } from './sinks.ts';
import { parseHostPort } from './values.ts';

type Path = readonly (string | number)[];
type Fail = (path: Path, message: string) => void;

/** What no single value of `audit.sinks`, or of the collector of traces, shows. */
export function checkSinks({ audit, identity, telemetry }: Config, fail: Fail): void {
	const otlp = telemetry.traces?.otlp;
	const place = (...more: Path): Path => ['telemetry', 'traces', 'otlp', ...more];
	if (otlp !== undefined) checkServer(otlp, identity, place, fail);
	const names = new Set<string>();
	const keys = new Set<string>();
	audit.sinks.forEach((sink, index) => {
		const kind = Object.keys(sink)[0] ?? '';
		const at = (...more: Path): Path => ['audit', 'sinks', index, kind, ...more];
		const { name } = settingsOf(sink);
		if (name !== undefined && names.has(name)) fail(at('name'), `two sinks are named ${name}`);
		names.add(name ?? '');
		const key = sinkKey(sink);
		if (keys.has(key)) fail(at(), `${key} stands there twice: one sink takes several \`types\``);
		keys.add(key);
		if ('http' in sink) checkRemote(sink.http, identity, at, fail);
		if ('otlp' in sink) checkRemote(sink.otlp, identity, at, fail);
		if ('nats' in sink) checkNats(sink.nats, at, fail);
	});
	checkCommit(audit, fail);
}

function checkCommit({ commit, sinks }: Config['audit'], fail: Fail): void {
	if (commit === undefined) return;
	const found = sinks[sinkNamed(sinks, commit.sink)];
	if (commit.timeout === 0) fail(['audit', 'commit', 'timeout'], 'expected more than 0');
	if (found === undefined) {
		fail(['audit', 'commit'], `there is no sink named ${commit.sink}: give the one in \`audit.sinks\` that \`name\``);
		return;
	}
	const types = settingsOf(found).types ?? ['decision', 'control'];
	for (const type of ['decision', 'control'])
		if (!types.includes(type)) fail(['audit', 'commit'], `${commit.sink} is not given records of the type ${type}`);
}

function checkRemote(
	remote: RemoteConfig,
	identity: Config['identity'],
	at: (...more: Path) => Path,
	fail: Fail,
): void {
	const { url, present_svid: svid, batch, rate } = remote;
	if (svid && url.startsWith('http:')) fail(at('present_svid'), 'is for https://');
	if (batch.bytes < 1024) fail(at('batch', 'bytes'), 'expected 1KiB or more');
	if (rate < 64 * 1024) fail(at('rate'), 'expected 64KiB or more');
	checkServer(remote, identity, at, fail);
}

/** A server behind a URL. */
function checkServer(
	{ url, credential, roots, timeout }: Pick<RemoteConfig, 'url' | 'credential' | 'roots' | 'timeout'>,
	identity: Config['identity'],
	at: (...more: Path) => Path,
	fail: Fail,
): void {
	const problem = urlProblem(url);
	if (problem !== undefined) fail(at('url'), problem);
	const clear = problem === undefined && new URL(url).protocol === 'http:';
	if (clear && credential !== undefined) fail(at('credential'), 'would be sent in the clear: use https://');
	if (clear && roots !== undefined) fail(at('roots'), 'are for https://');
	if (timeout === 0) fail(at('timeout'), 'expected more than 0');
	if (credential === undefined) return;
	if (HTTP_KINDS.filter(kind => credential[kind] !== undefined).length !== 1)
		fail(at('credential'), 'expected exactly one of `header`, `bearer`, `basic` and `jwt_svid`');
	checkParts(credential, identity, (...more) => at('credential', ...more), fail);
}

function checkNats(
	{ servers, credential, present_svid: svid, roots, rate, timeout }: NatsConfig,
	at: (...more: Path) => Path,
	fail: Fail,
): void {
	servers.forEach((server, index) => {
		const problem = serverProblem(server);
		if (problem !== undefined) fail(at('servers', index), problem);
	});
	const schemes = new Set(servers.map(server => server.replace(/:.*/, '')));
	if (schemes.size > 1) fail(at('servers'), 'expected either nats:// or tls:// for all of them');
	const clear = schemes.has('nats');
	if (clear && svid) fail(at('present_svid'), 'is for tls://');
	if (clear && roots !== undefined) fail(at('roots'), 'are for tls://');
	if (rate < 64 * 1024) fail(at('rate'), 'expected 64KiB or more');
	if (timeout === 0) fail(at('timeout'), 'expected more than 0');
	if (credential === undefined) return;
	// An NKey and what is in a creds file only sign; the others would be said in the clear.
	if (clear && (credential.token ?? credential.password ?? credential.username) !== undefined)
		fail(at('credential'), 'would be sent in the clear: use tls://');
	const { token, username, password, nkey, creds } = credential;
	const kinds = [token, username ?? password, nkey, creds].filter(kind => kind !== undefined);
	if (kinds.length !== 1 || (username === undefined) !== (password === undefined))
		fail(at('credential'), 'expected either `token`, `username` and `password`, `nkey`, or `creds`');
	for (const [key, secret] of Object.entries(credential))
		if (secret !== undefined) checkSecret(secret, 'login', at('credential', key), fail);
}

function serverProblem(text: string): string | undefined {
	const match = /^(?:nats|tls):\/\/(.+)$/.exec(text);
	if (match === null) return 'expected nats://HOST:PORT or tls://HOST:PORT';
	return parseHostPort(match[1] ?? '') === undefined ? 'expected HOST:PORT and nothing else behind //' : undefined;
}

function urlProblem(text: string): string | undefined {
	if (!URL.canParse(text)) return 'is no URL';
	const { username, password, hash } = new URL(text);
	if (username !== '' || password !== '') return 'holds a user name or a password: they stand in `credential`';
	return hash === '' ? undefined : 'has a fragment, which no server sees';
}
