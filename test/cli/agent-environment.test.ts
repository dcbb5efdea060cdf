import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { type AgentDoors, agentDoors, agentNamed } from '../../src/cli/agent-doors.ts';
import { agentEnvironment } from '../../src/cli/agent-environment.ts';
import { doorsCommand } from '../../src/cli/doors.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';

const TOKEN = 'x'.repeat(43);
const BASE = `identity:
  trust_domain: example.org
  svid: { files: { certificate: certs/sallyport.pem, key: certs/sallyport.key, trust_bundle: certs/ca.pem } }
policy: { files: [policies] }
`;
const TOKENS = 'authenticate: { token: { directory: tokens, agents: ["spiffe://example.org/agents/ann"] } }';
const PROXY = `  - { name: egress, address: 127.0.0.1:17402, serves: http_proxy, ${TOKENS} }\n`;

interface Made {
	readonly workspace: Workspace;
	readonly config: Config;
	readonly known: AgentDoors;
	readonly set: Readonly<Record<string, string>>;
	readonly unset: readonly string[];
	readonly notes: readonly string[];
}

/** The environment of an agent under listeners and upstreams as they stand in YAML. */
function make(
	t: TestContext,
	rest: string,
	more: {
		readonly agent?: string;
		readonly inherited?: NodeJS.ProcessEnv;
		readonly token?: boolean;
		readonly svid?: boolean;
	} = {},
): Made {
	const { agent = 'ann', inherited = {}, token = true, svid = false } = more;
	const workspace = makeWorkspace(t);
	if (token) workspace.write('tokens/ann/token', TOKEN);
	if (svid) workspace.agent(agent);
	const loaded = parseConfig(BASE + rest, workspace.path('sallyport.yaml'), {});
	if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems));
	const known = agentDoors(loaded.config, agentNamed(agent, 'example.org'), undefined);
	const { set, unset, notes } = agentEnvironment(known, loaded.config, inherited, []);
	return { workspace, config: loaded.config, known, set, unset, notes };
}

test('a proxy with a token stands in all six variables, and nothing leads around it', t => {
	const { set, unset, notes } = make(t, `listeners:\n${PROXY}`);
	const url = `http://ann:${TOKEN}@127.0.0.1:17402`;
	for (const name of ['http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'])
		assert.equal(set[name], url, name);
	assert.equal(set.NODE_USE_ENV_PROXY, '1');
	assert.deepEqual(unset, ['no_proxy', 'NO_PROXY', 'grpc_proxy', 'no_grpc_proxy']);
	assert.deepEqual(notes, []);
});

test("no variable that replaces the system's roots is set", t => {
	const { set } = make(
		t,
		`listeners:\n${PROXY}  - { name: api, address: 127.0.0.1:17403, upstream: api, env: API }\nupstreams: { api: { address: api.internal:80, protocol: http } }\n`,
		{ svid: true },
	);
	for (const name of [
		'SSL_CERT_FILE',
		'SSL_CERT_DIR',
		'REQUESTS_CA_BUNDLE',
		'CURL_CA_BUNDLE',
		'GIT_SSL_CAINFO',
		'AWS_CA_BUNDLE',
		'PIP_CERT',
	])
		assert.equal(set[name], undefined, name);
	assert.equal(set.API, 'https://localhost:17403');
});

test('NODE_EXTRA_CA_CERTS is for https doors, and not taken from who set it', t => {
	const door =
		'listeners: [{ name: api, address: 127.0.0.1:17403, upstream: api, env: API }]\nupstreams: { api: { address: api.internal:80, protocol: http } }\n';
	const { set, workspace } = make(t, door, { svid: true });
	assert.equal(set.NODE_EXTRA_CA_CERTS, workspace.ca);
	assert.equal(
		make(t, door, { svid: true, inherited: { NODE_EXTRA_CA_CERTS: '/corp.pem' } }).set.NODE_EXTRA_CA_CERTS,
		undefined,
	);
	assert.equal(make(t, `listeners:\n${PROXY}`).set.NODE_EXTRA_CA_CERTS, undefined);
});

test('HTTP doors are reached without the proxy, but no upstream is', t => {
	const door = (upstreamAddress: string) =>
		`listeners:\n${PROXY}  - { name: api, address: 127.0.0.1:17403, upstream: api, env: API, ${TOKENS} }\nupstreams: { api: { address: "${upstreamAddress}", protocol: http } }\n`;
	const plain = make(t, door('api.internal:80')).set;
	assert.equal(plain.API, `http://ann:${TOKEN}@127.0.0.1:17403`);
	assert.equal(plain.NO_PROXY, '127.0.0.1:17403,127.0.0.1');
	assert.equal(plain.no_proxy, plain.NO_PROXY);
	assert.equal(
		make(t, door('127.0.0.1:9000')).set.NO_PROXY,
		'127.0.0.1:17403',
		'the host alone would let 127.0.0.1:9000 pass by',
	);
});

test('database doors: token as password, or SVID and full verification', t => {
	const upstream = (more: string) => `upstreams: { db: { address: db.internal:5432, protocol: postgres${more} } }\n`;
	const credentials = ', credentials: [{ agents: ["spiffe://example.org/agents/*"], username: app, password: secret }]';
	const token = make(
		t,
		`listeners: [{ name: db, address: 127.0.0.1:17432, upstream: db, env: DATABASE_URL, database: orders, ${TOKENS} }]\n` +
			upstream(credentials),
	);
	assert.equal(token.set.DATABASE_URL, `postgres://ann:${TOKEN}@127.0.0.1:17432/orders?sslmode=disable`);
	assert.doesNotMatch(JSON.stringify(token.set), /secret/);

	const tls =
		'listeners: [{ name: db, address: 127.0.0.1:17432, upstream: db, env: DATABASE_URL, database: a b, user: me }]\n';
	const { set, workspace } = make(t, tls + upstream(credentials), { svid: true });
	const url = new URL(set.DATABASE_URL ?? '');
	assert.equal(url.username, 'me');
	assert.equal(url.password, '');
	assert.equal(url.host, 'localhost:17432');
	assert.equal(url.pathname, '/a%20b');
	assert.deepEqual(Object.fromEntries(url.searchParams), {
		sslmode: 'verify-full',
		sslrootcert: workspace.ca,
		sslcert: workspace.path('certs/ann.pem'),
		sslkey: workspace.path('certs/ann.key'),
	});

	const relayed = make(
		t,
		`listeners: [{ name: db, address: 127.0.0.1:17432, upstream: db, env: DATABASE_URL }]\n${upstream('')}`,
		{ svid: true },
	);
	assert.match(
		relayed.set.DATABASE_URL ?? '',
		/^postgres:\/\/localhost:17432\/\?/,
		'who signs in by itself brings its own user',
	);
});

test('Unix sockets: as libpq finds them, else not at all', t => {
	const listener = (path: string) =>
		`listeners: [{ name: db, address: "unix:${path}", upstream: db, env: DATABASE_URL, database: orders, authenticate: { as: spiffe://example.org/agents/ann } }]\nupstreams: { db: { address: db.internal:5432, protocol: postgres, credentials: [{ agents: ["spiffe://example.org/agents/*"], username: app, password: p }] } }\n`;
	assert.equal(
		make(t, listener('/run/ann/.s.PGSQL.5432')).set.DATABASE_URL,
		'postgres://ann@/orders?host=/run/ann&port=5432',
	);
	const { set, known } = make(t, listener('/run/ann/db.sock'));
	assert.equal(set.DATABASE_URL, undefined);
	assert.match(known.unusable[0]?.reason ?? '', /\.s\.PGSQL\.PORT/);
});

test('only listeners that are open to the agent count', t => {
	const rest = `listeners:
${PROXY}  - { name: own, address: "unix:/run/own.sock", upstream: raw, env: OWN, authenticate: { as: spiffe://example.org/agents/bob } }
  - { name: some, address: 127.0.0.1:17404, upstream: raw, env: SOME, agents: ["spiffe://example.org/agents/bob"] }
  - { name: all, address: 127.0.0.1:17405, upstream: raw, env: ALL }
upstreams: { raw: { address: raw.internal:9000, protocol: tcp } }
admin: { control: { address: 127.0.0.1:17410, operators: ["spiffe://example.org/operators/*"] } }
`;
	assert.deepEqual(
		make(t, rest, { svid: true }).known.doors.map(({ listener }) => listener),
		['egress', 'all'],
	);
	const bob = make(t, rest, { agent: 'bob', svid: true });
	assert.deepEqual(
		bob.known.doors.map(({ listener, url }) => [listener, url]),
		[
			['own', 'unix:/run/own.sock'],
			['some', 'tls://localhost:17404'],
			['all', 'tls://localhost:17405'],
		],
	);
	assert.ok(bob.notes.some(note => note.includes('do not go through Sallyport')));
	assert.deepEqual(
		make(t, rest, { agent: 'spiffe://example.org/operators/ann' }).known.doors,
		[],
		'operators make no calls',
	);
	assert.deepEqual(make(t, rest, { agent: 'spiffe://other.org/agents/ann' }).known.doors, [], 'another trust domain');
});

test('what is missing is named: the token, the SVID, the port', t => {
	const rest = `listeners:\n${PROXY}  - { name: db, address: 127.0.0.1:0, upstream: raw, env: DB }\n  - { name: raw, address: 127.0.0.1:17405, upstream: raw, env: RAW }\nupstreams: { raw: { address: raw.internal:9000, protocol: tcp } }\n`;
	const { known, notes } = make(t, rest, { token: false });
	assert.deepEqual(known.doors, []);
	assert.match(notes.find(note => note.startsWith('egress: ')) ?? '', /tokens\/ann\/token yet/);
	assert.match(notes.find(note => note.startsWith('db: ')) ?? '', /port is 0/);
	assert.match(notes.find(note => note.startsWith('raw: ')) ?? '', /certs\/ann\.pem .*certs issue/);
});

test('`doors` prints what a shell takes back unchanged', async t => {
	const workspace = makeWorkspace(t);
	workspace.write('tokens/ann/token', TOKEN);
	const folder = workspace.path("it's");
	const file = workspace.write(
		"it's/sallyport.yaml",
		`${BASE}listeners:\n${PROXY.replace('directory: tokens', 'directory: ../tokens')}`,
	);
	let out = '';
	const command = doorsCommand({
		out: text => (out += text),
		err: () => {},
		person: false,
		paint: (_colour, text) => text,
	});
	await command.parseAsync(['--agent', 'ann', '--config', file], { from: 'user' });
	const seen = execFileSync(
		'sh',
		['-c', `no_proxy=x; ${out}\nprintf '%s %s %s' "$SALLYPORT_CA" "$https_proxy" "\${no_proxy-none}"`],
		{ encoding: 'utf8', env: {} },
	);
	assert.equal(seen, `${folder}/certs/ca.pem http://ann:${TOKEN}@127.0.0.1:17402 none`);
});
