import { checkParts, HTTP_KINDS } from './check-credentials.ts';
import type { Config } from './schema.ts';
import { type RemoteConfig, settingsOf } from './sinks.ts';

type Path = readonly (string | number)[];
type Fail = (path: Path, message: string) => void;

/** What no single value of `audit.sinks` shows. */
export function checkSinks({ audit, identity }: Config, fail: Fail): void {
	const names = new Set<string>();
	audit.sinks.forEach((sink, index) => {
		const kind = Object.keys(sink)[0] ?? '';
		const at = (...more: Path): Path => ['audit', 'sinks', index, kind, ...more];
		const { name } = settingsOf(sink);
		if (name !== undefined && names.has(name)) fail(at('name'), `two sinks are named ${name}`);
		names.add(name ?? '');
		if ('http' in sink) checkRemote(sink.http, identity, at, fail);
	});
}

function checkRemote(
	{ url, credential, present_svid: svid, roots, batch, rate, timeout }: RemoteConfig,
	identity: Config['identity'],
	at: (...more: Path) => Path,
	fail: Fail,
): void {
	const problem = urlProblem(url);
	if (problem !== undefined) fail(at('url'), problem);
	const clear = problem === undefined && new URL(url).protocol === 'http:';
	if (clear && credential !== undefined) fail(at('credential'), 'would be sent in the clear: use https://');
	if (clear && svid) fail(at('present_svid'), 'is for https://');
	if (clear && roots !== undefined) fail(at('roots'), 'are for https://');
	if (batch.bytes < 1024) fail(at('batch', 'bytes'), 'expected 1KiB or more');
	if (rate < 64 * 1024) fail(at('rate'), 'expected 64KiB or more');
	if (timeout === 0) fail(at('timeout'), 'expected more than 0');
	if (credential === undefined) return;
	if (HTTP_KINDS.filter(kind => credential[kind] !== undefined).length !== 1)
		fail(at('credential'), 'expected exactly one of `header`, `bearer`, `basic` and `jwt_svid`');
	checkParts(credential, identity, (...more) => at('credential', ...more), fail);
}

function urlProblem(text: string): string | undefined {
	if (!URL.canParse(text)) return 'is no URL';
	const { username, password, hash } = new URL(text);
	if (username !== '' || password !== '') return 'holds a user name or a password: they stand in `credential`';
	return hash === '' ? undefined : 'has a fragment, which no server sees';
}
