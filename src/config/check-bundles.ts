import { checkSecret } from './check-credentials.ts';
import { endpointProblem } from './endpoint.ts';
import type { PolicyBundleConfig, StatusReportsConfig } from './policy-bundle.ts';

type Fail = (path: readonly (string | number)[], message: string) => void;

/** What only a server is asked by. */
const FOR_URL = ['roots', 'bearer', 'present_svid', 'timeout', 'poll', 'persist', 'limit'] as const;
const MOST = 64 * 1024 * 1024;

/** What no single value of one of `policy.bundles` shows. Paths begin at the bundle. */
export function checkBundle(bundle: PolicyBundleConfig, fail: Fail): void {
	const { path, files, url, poll, verify, limit, timeout, bearer } = bundle;
	if ([path, files, url].filter(source => source !== undefined).length !== 1)
		fail([], 'expected exactly one of `path`, `files` and `url`');
	if (url === undefined) for (const key of FOR_URL) if (bundle[key] !== undefined) fail([key], 'is for `url`');
	const problem = url === undefined ? undefined : endpointProblem(url);
	if (problem !== undefined) fail(['url'], problem);
	if (bearer !== undefined) checkSecret(bearer, 'bearer', ['bearer'], fail);
	if (limit !== undefined && (limit === 0 || limit > MOST)) fail(['limit'], 'expected 1B to 64MiB');
	if (timeout !== undefined && timeout < 100) fail(['timeout'], 'expected 100ms or more');
	if (poll !== undefined) {
		if (poll.min < 250) fail(['poll', 'min'], 'expected 250ms or more');
		if (poll.max < poll.min) fail(['poll', 'max'], 'expected `min` or more');
		if (poll.wait !== 0 && poll.wait < 1000) fail(['poll', 'wait'], 'expected 0, or 1s or more');
	}
	if (verify === undefined) return;
	if (files !== undefined)
		fail(['verify'], 'is for `url`, and for a `path` of a compiled bundle: sources are not signed');
	if ((verify.key === undefined) === (verify.keys === undefined)) fail(['verify'], 'expected either `key` or `keys`');
	if (verify.algorithm !== undefined && verify.key === undefined) fail(['verify', 'algorithm'], 'stands beside `key`');
	if (verify.keys !== undefined && Object.keys(verify.keys).length === 0) fail(['verify', 'keys'], 'names no key');
}

/** The same for `policy.status`. */
export function checkStatusReports({ url, bearer, timeout, interval }: StatusReportsConfig, fail: Fail): void {
	const problem = endpointProblem(url);
	if (problem !== undefined) fail(['url'], problem);
	if (bearer !== undefined) checkSecret(bearer, 'bearer', ['bearer'], fail);
	if (timeout !== undefined && timeout < 100) fail(['timeout'], 'expected 100ms or more');
	if (interval !== undefined && interval < 1000) fail(['interval'], 'expected 1s or more');
}
