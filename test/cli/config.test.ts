import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GOOD } from '../config/fixture.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { sallyport } from './run.ts';

test('a good configuration: said so, status 0', async t => {
	const workspace = makeWorkspace(t);
	const file = workspace.write('sallyport.yaml', GOOD);
	workspace.write('policies/request.rego', 'package sallyport.request\n');
	const { code, out, err } = await sallyport(['config', 'check', '--config', file]);
	assert.deepEqual({ code, out, err }, { code: 0, out: `${file}: good\n`, err: '' });
});

test('what may not be meant is warned of, and the status is 0', async t => {
	const upstream = 'address: crm.internal:80, protocol: http';
	const entry = '{ agents: ["spiffe://example.org/**"], bearer: held }';
	const text = `${GOOD}upstreams:\n  crm: { ${upstream}, credentials: [${entry}] }\n`;
	const file = makeWorkspace(t).write('sallyport.yaml', text);
	const { code, out, err } = await sallyport(['config', 'check', '--no-files', '--config', file]);
	assert.deepEqual({ code, out }, { code: 0, out: `${file}: good\n` });
	assert.match(err, /^warning: .*:12:\d+ {2}upstreams\.crm\.credentials: travel in the clear/);
	const json = await sallyport(['config', 'check', '--no-files', '--config', file, '--json']);
	assert.equal(json.code, 0);
	const { ok, warnings } = JSON.parse(json.out) as { ok: boolean; warnings: { path: string }[] };
	assert.equal(ok, true);
	assert.deepEqual(
		warnings.map(({ path }) => path),
		['upstreams.crm.credentials'],
	);
	assert.doesNotMatch(out + err + json.out, /held/);
});

test('files that it names and that are not there, by place; without them nothing but the text is looked at', async t => {
	const workspace = makeWorkspace(t);
	const file = workspace.write(
		'sallyport.yaml',
		`${GOOD.replace('certs/ca.pem', 'certs/none.pem')}upstreams:\n  crm: { address: crm.internal:443, protocol: http, tls: { trust_bundle: certs } }\n`,
	);
	const { code, err } = await sallyport(['config', 'check', '--config', file]);
	assert.equal(code, 2);
	assert.deepEqual(err.trimEnd().split('\n'), [
		`${file}:4:88  identity.svid.files.trust_bundle: there is no file ${workspace.path('certs/none.pem')}; for development, \`sallyport certs init\` makes it`,
		`${file}:6:11  policy.files[0]: there is no file or folder ${workspace.path('policies')}`,
		`${file}:12:74  upstreams.crm.tls.trust_bundle: ${workspace.path('certs')} is a folder`,
	]);
	assert.equal((await sallyport(['config', 'check', '--config', file, '--no-files'])).code, 0);
});

test('secrets in files that are not there: mistakes, and none where files are left alone', async t => {
	const workspace = makeWorkspace(t);
	const entry = '{ agents: ["spiffe://example.org/**"], bearer: { file: /run/secrets/none } }';
	const file = workspace.write(
		'sallyport.yaml',
		`${GOOD}upstreams:\n  crm: { address: crm.internal:443, protocol: http, tls: {}, credentials: [${entry}] }\n`,
	);
	workspace.write('policies/request.rego', 'package sallyport.request\n');
	const { code, err } = await sallyport(['config', 'check', '--config', file]);
	assert.equal(code, 2);
	assert.match(
		err,
		/upstreams\.crm\.credentials\[0\]\.bearer: the file \/run\/secrets\/none cannot be read \(ENOENT\)/,
	);
	const without = await sallyport(['config', 'check', '--config', file, '--no-files']);
	assert.deepEqual(without, { ...without, code: 0, err: '' });
});

test('an SVID that `run` would not take', async t => {
	const workspace = makeWorkspace(t);
	workspace.write('policies/request.rego', 'package sallyport.request\n');
	const other = workspace.write('other.yaml', GOOD.replace('trust_domain: example.org', 'trust_domain: acme.test'));
	const domain = await sallyport(['config', 'check', '--config', other]);
	assert.equal(domain.code, 2);
	assert.match(
		domain.err,
		/:4:27 {2}identity\.svid\.files\.certificate: certificate: its trust domain is example\.org/,
	);
	workspace.write('certs/sallyport.key', 'no key');
	const key = await sallyport(['config', 'check', '--config', workspace.write('key.yaml', GOOD)]);
	assert.match(key.err, /:4:53 {2}identity\.svid\.files\.key: key: it is not an unencrypted PEM private key/);
});

test('every problem with file, line, column and path, status 2', async t => {
	const workspace = makeWorkspace(t);
	workspace.write('sallyport.yaml', `${GOOD}polices: {}\nlog: { level: loud }\n`);
	const { code, out, err } = await sallyport(['config', 'check'], { cwd: workspace.directory });
	assert.equal(code, 2);
	assert.equal(out, '');
	assert.deepEqual(err.trimEnd().split('\n').sort(), [
		'sallyport.yaml:11:10  polices: is not a key that Sallyport knows; did you mean `policy`?',
		'sallyport.yaml:12:15  log.level: expected "debug" or "info" or "warn" or "error"',
	]);
});

test('the same as JSON', async t => {
	const file = makeWorkspace(t).write('sallyport.yaml', `${GOOD}polices: {}\n`);
	const { code, out } = await sallyport(['config', 'check', '--config', file, '--json']);
	assert.equal(code, 2);
	assert.deepEqual(JSON.parse(out), {
		file,
		ok: false,
		problems: [
			{ line: 11, column: 10, path: 'polices', message: 'is not a key that Sallyport knows; did you mean `policy`?' },
		],
	});
});

test('text of a file cannot drive a terminal', async t => {
	const file = makeWorkspace(t).write('sallyport.yaml', `${GOOD}"a\\e[2Jb": 1\n`);
	const { err } = await sallyport(['config', 'check', '--config', file]);
	assert.match(err, /a\\u001b\[2Jb/);
	assert.ok(!err.includes('\u001b'));
});
