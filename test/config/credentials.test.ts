import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { MAX_SECRET, secretProblem, secretText } from '../../src/config/secret-text.ts';
import { FILE, GOOD, problemsOf } from './fixture.ts';

const upstream = (more: string, protocol = 'http'): string =>
	`${GOOD}upstreams:\n  crm:\n    address: crm.internal:80\n    protocol: ${protocol}\n${more
		.split('\n')
		.map(line => `    ${line}`)
		.join('\n')}\n`;
const entry = (text: string): string => `credentials: [{ agents: ["spiffe://example.org/**"], ${text} }]`;
const HERE = 'upstreams.crm.credentials[0]';

test('good entries', () => {
	const good = [
		'header: { name: X-Api-Key, value: abc }',
		'header: { name: x_api_key, value: "a b, c=d; \u00e9" }',
		'bearer: abc',
		'bearer: { command: [vault, read, -field=token, secret/crm], ttl: 5m, timeout: 2s }',
		'name: crm-basic, basic: { username: "app", password: "a:b c" }',
		'basic: { username: { command: [a] }, password: { command: [b] } }',
	];
	for (const text of good) assert.deepEqual(problemsOf(upstream(entry(text))), [], text);
	assert.deepEqual(problemsOf(upstream(entry('username: app, password: "ü:\t"'), 'postgres')), []);
});

test('what is wrong with an entry is said where it stands, without saying the secret', () => {
	const wrong: readonly (readonly [string, string, string?])[] = [
		['name: none', `${HERE}: expected exactly one of`],
		['bearer: abc, header: { name: a, value: b }', `${HERE}: expected exactly one of`],
		['username: a, password: b', `${HERE}.username: is for postgres`],
		['bearer: abc', `${HERE}.bearer: is for http`, 'postgres'],
		['username: a', `${HERE}.password: is missing`, 'postgres'],
		['bearer: abc', `${HERE}: there is no place for credentials in tcp`, 'tcp'],
		['bearer: "held secret"', `${HERE}.bearer: holds what no bearer token can`],
		['bearer: "held\\r\\nX-Injected: 1"', `${HERE}.bearer: holds what no bearer token can`],
		['header: { name: a, value: "held\\nb" }', `${HERE}.header.value: holds what no header field can`],
		['header: { name: a, value: "held\\u0000" }', `${HERE}.header.value: holds what no header field can`],
		['header: { name: a, value: "held\\u20ac" }', `${HERE}.header.value: holds what no header field can`],
		['header: { name: a, value: " held" }', `${HERE}.header.value: holds what no header field can`],
		['header: { name: "a b", value: held }', `${HERE}.header.name: is no name of a header field`],
		['header: { name: Host, value: held }', `${HERE}.header.name: host is written by Sallyport itself`],
		['header: { name: Content_Length, value: held }', `${HERE}.header.name: content_length is written by`],
		['header: { name: X-Forwarded-Client-Cert, value: held }', `${HERE}.header.name: x-forwarded-client-cert is`],
		['basic: { username: "held:a", password: b }', `${HERE}.basic.username: holds a colon`],
		['basic: { username: a, password: "held\\u0007" }', `${HERE}.basic.password: holds control characters`],
		['bearer: { command: [] }', `${HERE}.bearer`],
		['bearer: { command: "held" }', `${HERE}.bearer`],
		['bearer: { command: [a], ttl: 5s, timeout: 5s }', `${HERE}.bearer.timeout: expected less than \`ttl\``],
		['bearer: { command: [a], ttl: 500ms }', `${HERE}.bearer.ttl: expected 1s or more`],
		['bearer: { command: [a], timeout: 0 }', `${HERE}.bearer.timeout: expected more than 0`],
		['bearer: { file: none }', `${HERE}.bearer: the file none cannot be read (ENOENT)`],
		['bearer: { env: NONE }', `${HERE}.bearer: the environment variable NONE is not set`],
		['jwt_svid: { audience: crm }', `${HERE}.jwt_svid: comes from a Workload API`],
		['bearer: ""', `${HERE}.bearer`],
		['bearer: 12345', `${HERE}.bearer: expected a string, { env: NAME }, { file: path } or { command: [program] }`],
		['bearer: { file: { env: NONE } }', `${HERE}.bearer.file: the environment variable NONE is not set`],
	];
	for (const [text, problem, protocol] of wrong) {
		const found = problemsOf(upstream(entry(text), protocol));
		assert.ok(
			found.some(one => one.replace(/^:\d+:\d+ {2}/, '').startsWith(problem)),
			`${text}: ${found}`,
		);
		assert.doesNotMatch(found.join(), /held/, text);
	}
	const env = problemsOf(upstream(entry('bearer: { env: TOKEN }')), { TOKEN: 'held\nsecret' });
	assert.match(env.join(), /credentials\[0\]\.bearer: holds what no bearer token can/);
	assert.doesNotMatch(env.join(), /held/);
});

test('what does not go together with credentials', () => {
	const two = `credentials:\n  - { agents: ["spiffe://example.org/a"], name: one, bearer: a }\n  - { agents: ["spiffe://example.org/b"], name: one, bearer: b }`;
	assert.match(problemsOf(upstream(two)).join(), /credentials\[1\]\.name: two entries are named one/);
	assert.match(
		problemsOf(upstream(`${entry('bearer: a')}\ntunnel: allow`)).join(),
		/upstreams\.crm\.tunnel: what is in a tunnel gets no `credentials`/,
	);
	assert.match(
		problemsOf(upstream('forward_client_cert: true', 'tcp')).join(),
		/forward_client_cert: is a header field/,
	);
});

test('credentials that would travel in the clear are warned of, but not on loopback', () => {
	const warnings = (text: string) => {
		const loaded = parseConfig(text, FILE, {});
		assert.ok('config' in loaded);
		return loaded.warnings.map(({ path, line, message }) => `${line} ${path}: ${message}`);
	};
	const clear = upstream(entry('bearer: a'));
	assert.deepEqual(warnings(clear), ['15 upstreams.crm.credentials: travel in the clear: the upstream has no `tls`']);
	assert.deepEqual(warnings(`${clear}    tls: {}\n`), []);
	assert.deepEqual(warnings(clear.replace('crm.internal:80', '127.0.0.1:80')), []);
	assert.deepEqual(warnings(upstream('effects: []')), []);
});

test('texts of secrets', () => {
	assert.equal(secretText(Buffer.from('a\r\n')), 'a');
	assert.equal(secretText(Buffer.from('a\n\n')), 'a\n');
	assert.equal(secretText(Buffer.from([0xff, 0xfe])), undefined);
	assert.equal(secretProblem('bearer', 'x'.repeat(MAX_SECRET)), undefined);
	assert.equal(secretProblem('bearer', 'x'.repeat(MAX_SECRET + 1)), 'is longer than 16 KiB');
	assert.equal(secretProblem('login', 'a\0b'), 'holds a NUL');
});
