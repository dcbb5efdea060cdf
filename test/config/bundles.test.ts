import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { problemText } from '../../src/config/loaded.ts';
import { makeWorkspace } from '../support/workspace.ts';

const BASE = {
	identity: {
		trust_domain: 'example.org',
		svid: { files: { certificate: 'a.pem', key: 'a.key', trust_bundle: 'ca.pem' } },
	},
	listeners: [{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' }],
};

test('bundles from servers: what is taken, and what is a mistake', t => {
	const workspace = makeWorkspace(t);
	writeFileSync(workspace.path('token'), 'secret\n');
	const load = (bundle: string, env: NodeJS.ProcessEnv = {}) => {
		const text = stringify({ ...BASE, policy: { bundles: [{ name: 'a', ...(parse(bundle) as object) }] } });
		return parseConfig(text, workspace.path('sallyport.yaml'), env);
	};
	const loaded = load(
		'{ url: "https://b.example/x", bearer: { file: token }, roots: ca.pem, verify: { keys: { k: { key: k.pub } } }, poll: { min: 1s, max: 2s } }',
	);
	assert.ok('config' in loaded, JSON.stringify(loaded));
	const [bundle] = loaded.config.policy.bundles ?? [];
	const at = (name: string): string => join(workspace.directory, name);
	assert.deepEqual(bundle?.bearer, { file: at('token') }, 'a file is watched, so its place is kept');
	assert.equal(bundle?.roots, at('ca.pem'));
	assert.equal(bundle?.verify?.keys?.['k']?.key, at('k.pub'));
	assert.deepEqual(bundle?.poll, { min: 1000, max: 2000, wait: 50_000 });
	assert.ok('config' in load('{ url: "https://b.example/x", bearer: { env: TOKEN } }', { TOKEN: 'x' }));
	assert.ok('config' in load('{ path: a.tar.gz, verify: { key: k.pub, algorithm: PS256 } }'));

	for (const [text, expected] of [
		['{ url: "http://b.example/x" }', /a URL that begins with https/],
		['{ url: "https://u:p@b.example/x" }', /user name or a password/],
		['{ url: "https://b.example/x", path: y.tar.gz }', /exactly one of `path`, `files` and `url`/],
		['{ path: y.tar.gz, bearer: x }', /bundles\[0\]\.bearer: is for `url`/],
		['{ path: y.tar.gz, persist: true }', /persist: is for `url`/],
		['{ url: "https://b.example/x", bearer: "a b" }', /holds what no bearer token can/],
		['{ url: "https://b.example/x", poll: { min: 2s, max: 1s } }', /max: expected `min` or more/],
		['{ url: "https://b.example/x", poll: { min: 1ms } }', /expected 250ms or more/],
		['{ url: "https://b.example/x", limit: 1GiB }', /limit: expected 1B to 64MiB/],
		['{ url: "https://b.example/x", verify: {} }', /expected either `key` or `keys`/],
		['{ url: "https://b.example/x", verify: { key: k.pub, algorithm: HS256 } }', /expected "RS256"/],
		['{ files: [p], verify: { key: k.pub } }', /sources are not signed/],
		['{ url: "https://b.example/x", bearer: { file: nowhere } }', /cannot be read/],
	] as const) {
		const refused = load(text);
		assert.ok('problems' in refused, text);
		assert.match(refused.problems.map(problem => problemText(refused.file, problem)).join('\n'), expected, text);
	}
});
