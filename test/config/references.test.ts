import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig, parseConfig } from '../../src/config/load.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { configOf, FILE, GOOD, problemsOf } from './fixture.ts';

const UPSTREAM = (password: string): string => `${GOOD}upstreams:
  orders:
    address: db.internal:5432
    protocol: postgres
    credentials: [{ agents: ["spiffe://example.org/agents/*"], username: app, password: ${password} }]
`;

test('any string may be the value of an environment variable', () => {
	const text = GOOD.replace('trust_domain: example.org', 'trust_domain: { env: DOMAIN }').replace(
		'127.0.0.1:17401',
		'{ env: LISTEN }',
	);
	const config = configOf(text, { DOMAIN: 'acme.test', LISTEN: '127.0.0.1:17499' });
	assert.equal(config.identity.trust_domain, 'acme.test');
	assert.deepEqual(config.listeners[0]?.address, { kind: 'tcp', host: '127.0.0.1', port: 17499 });
});

test('a variable that is not set is a problem where it stands, and its value is judged like any other', () => {
	assert.deepEqual(problemsOf(UPSTREAM('{ env: DB_PASSWORD }')), [
		':15:89  upstreams.orders.credentials[0].password: the environment variable DB_PASSWORD is not set',
	]);
	assert.match(
		problemsOf(GOOD.replace('127.0.0.1:17401', '{ env: LISTEN }'), { LISTEN: 'nowhere' })[0] ?? '',
		/^:9:14 {2}listeners\[0\]\.address: expected HOST:PORT/,
	);
});

test('a file gives its text without the last line feed, relative to the configuration; a credential, its place', t => {
	const workspace = makeWorkspace(t);
	workspace.write('secrets/db', 'hunter2\n');
	const loaded = loadConfig(workspace.write('sallyport.yaml', UPSTREAM('{ file: secrets/db }')), {});
	assert.ok('config' in loaded);
	assert.deepEqual(loaded.config.upstreams.orders?.credentials?.[0]?.password, {
		file: workspace.path('secrets/db'),
	});
	const domain = loadConfig(workspace.write('domain.yaml', GOOD.replace('example.org', '{ file: secrets/db }')), {});
	assert.ok('config' in domain);
	assert.equal(domain.config.identity.trust_domain, 'hunter2');
	const missing = loadConfig(workspace.write('other.yaml', UPSTREAM('{ file: secrets/none }')), {});
	assert.ok('problems' in missing);
	assert.match(missing.problems[0]?.message ?? '', /^the file secrets\/none cannot be read \(ENOENT\)$/);
});

test('a secret stands in no problem', () => {
	const text = `${UPSTREAM('{ env: DB_PASSWORD }')}log: { level: loud }\n`;
	const problems = problemsOf(text, { DB_PASSWORD: 'hunter2' });
	assert.equal(problems.length, 1);
	assert.doesNotMatch(problems.join('\n'), /hunter2/);
});

test('credentials can be left unread, and nothing else', () => {
	const loaded = parseConfig(UPSTREAM('{ env: DB_PASSWORD }'), FILE, {}, { withoutCredentials: true });
	assert.ok('config' in loaded);
	assert.equal(loaded.config.upstreams.orders?.credentials?.[0]?.username, 'app');
	const other = parseConfig(GOOD.replace('example.org', '{ env: DOMAIN }'), FILE, {}, { withoutCredentials: true });
	assert.ok('problems' in other);
});

test('the sink `file` is a sink, not a reference', () => {
	const config = configOf(`${GOOD}audit: { sinks: [{ file: { path: records.jsonl } }] }\n`);
	assert.deepEqual(config.audit.sinks, [{ file: { path: '/etc/sallyport/records.jsonl' } }]);
});

test('paths are relative to the file, and the result is frozen to its leaves', () => {
	const config = configOf(`${GOOD}admin: { control: { socket: run/control.sock } }\n`);
	assert.equal(config.identity.svid.files?.key, '/etc/sallyport/certs/sallyport.key');
	assert.equal(config.admin.control?.socket, '/etc/sallyport/run/control.sock');
	assert.deepEqual(config.policy.files, ['/etc/sallyport/policies']);
	assert.ok(Object.isFrozen(config.listeners[0]?.address));
	assert.throws(() => Object.assign(config.policy, { mode: 'observe' }), TypeError);
});
