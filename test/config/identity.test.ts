import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, GOOD, problemsOf } from './fixture.ts';

const FILES = '    files: { certificate: certs/sallyport.pem, key: certs/sallyport.key, trust_bundle: certs/ca.pem }\n';
const withSvid = (svid: string): string => GOOD.replace(FILES, svid);
const withBundles = (bundles: string): string => GOOD.replace(FILES, `${FILES}  trust_bundles:\n${bundles}`);

test('a Workload API, with and without a socket, with and without a choice', () => {
	for (const [svid, expected] of [
		['    workload_api: {}\n', {}],
		[
			'    workload_api: { socket: unix:///run/spire/agent.sock, svid: { hint: sidecar } }\n',
			{ socket: 'unix:///run/spire/agent.sock', svid: { hint: 'sidecar' } },
		],
		[
			'    workload_api: { socket: "tcp://127.0.0.1:8081", svid: { id: spiffe://example.org/sallyport } }\n',
			{ socket: 'tcp://127.0.0.1:8081', svid: { id: 'spiffe://example.org/sallyport' } },
		],
	] as const) {
		const { svid: read } = configOf(withSvid(svid)).identity;
		assert.deepEqual(read, { workload_api: expected });
	}
	const { svid } = configOf(withSvid('    workload_api: { socket: { env: WHERE } }\n'), {
		WHERE: 'unix:///a.sock',
	}).identity;
	assert.equal(svid.workload_api?.socket, 'unix:///a.sock');
});

test('trust bundles of other domains; paths are relative to the file', () => {
	const { trust_bundles: bundles } = configOf(
		withBundles(
			'    partner.org: { files: [partner.pem, /etc/partner.json] }\n' +
				'    third.org: { https_web: { url: "https://third.org/bundle", refresh: 1m, roots: roots.pem } }\n',
		),
	).identity;
	assert.deepEqual(bundles, {
		'partner.org': { files: ['/etc/sallyport/partner.pem', '/etc/partner.json'] },
		'third.org': {
			https_web: { url: 'https://third.org/bundle', refresh: 60_000, roots: '/etc/sallyport/roots.pem' },
		},
	});
	assert.deepEqual(configOf(GOOD).identity.trust_bundles, {});
});

const SVIDS: readonly [string, RegExp][] = [
	['    {}\n', /identity\.svid: expected either `files` or `workload_api`/],
	[`${FILES}    workload_api: {}\n`, /identity\.svid: expected either `files` or `workload_api`/],
	['    workload_api: { socket: /run/agent.sock }\n', /workload_api\.socket: expected a Workload API socket such as/],
	[
		'    workload_api: { socket: "unix://relative" }\n',
		/workload_api\.socket: is no Workload API socket: it names no absolute path/,
	],
	[
		'    workload_api: { socket: "tcp://localhost:1" }\n',
		/workload_api\.socket: is no Workload API socket: expected unix/,
	],
	['    workload_api: { svid: {} }\n', /workload_api\.svid/],
	['    workload_api: { svid: { hint: a, id: spiffe://example.org/a } }\n', /workload_api\.svid/],
	['    workload_api: { svid: { id: spiffe://other.org/a } }\n', /svid\.id: is not in the trust domain example\.org/],
	['    workload_api: { svid: { id: spiffe://example.org/a/../b } }\n', /svid\.id: is no SPIFFE ID/],
	['    workload_api: { sokcet: unix:///a }\n', /workload_api\.sokcet: is not a key/],
];

const BUNDLES: readonly [string, RegExp][] = [
	['    example.org: { files: [a.pem] }\n', /trust_bundles\.example\.org: is the own trust domain/],
	['    partner.org: {}\n', /trust_bundles\.partner\.org: expected either `files` or `https_web`/],
	[
		'    partner.org: { files: [a.pem], https_web: { url: "https://a" } }\n',
		/trust_bundles\.partner\.org: expected either `files` or `https_web`/,
	],
	['    Partner.org: { files: [a.pem] }\n', /Partner\.org/],
	['    partner.org: { files: [] }\n', /files/],
	['    partner.org: { https_web: { url: "http://partner.org/" } }\n', /url: expected a URL that begins with https/],
	['    partner.org: { https_web: { url: "https://a:b@partner.org/" } }\n', /url: holds a user name or a password/],
	['    partner.org: { https_web: { url: "https://partner.org/#a" } }\n', /url: has a fragment/],
	['    partner.org: { https_web: { url: "https://" } }\n', /url: is no URL/],
	['    partner.org: { https_web: {} }\n', /url: is missing/],
];

for (const [text, says] of [
	...SVIDS.map(([svid, says]) => [withSvid(svid), says] as const),
	...BUNDLES.map(([bundles, says]) => [withBundles(bundles), says] as const),
]) {
	test(`not taken: ${text.split('\n').slice(3, 5).join(' ').trim()}`, () => {
		const problems = problemsOf(text);
		assert.ok(problems.length > 0, 'it was taken');
		assert.match(problems.join('\n'), says);
		assert.match(problems[0] ?? '', /^:\d+:\d+ /);
	});
}

test('a list of revocations comes from a URL or from a file, and what is said of it has an effect', () => {
	const withList = (list: string): string =>
		GOOD.replace(FILES, `${FILES}  revocations: { verify_key: fleet.pub, ${list} }\n`);
	for (const [list, problem] of [
		['url: "https://fleet.internal/list", poll: 2s, roots: ca.pem', undefined],
		['file: list.jws, max_age: 1h', undefined],
		['max_age: 1h', 'revocations: expected either `url` or `file`'],
		['url: "https://fleet.internal/list", poll: 500ms', 'revocations.poll: expected 1s or more'],
		['file: list.jws, poll: 30s', 'revocations.poll: is for `url`'],
		['file: list.jws, roots: ca.pem', 'revocations.roots: is for `url`'],
	] as const) {
		const problems = problemsOf(withList(list));
		assert.equal(problems.length, problem === undefined ? 0 : 1, list);
		if (problem !== undefined) assert.ok(problems[0]?.includes(problem), `${list}: ${problems[0]}`);
	}
});
