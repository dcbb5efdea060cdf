import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { agentDoors, agentNamed } from '../../src/cli/agent-doors.ts';
import { agentEnvironment } from '../../src/cli/agent-environment.ts';
import { parseConfig } from '../../src/config/load.ts';
import { makeWorkspace } from '../support/workspace.ts';

const TOKEN = 'x'.repeat(43);
const LISTENERS = `identity:
  trust_domain: example.org
  svid: { files: { certificate: certs/sallyport.pem, key: certs/sallyport.key, trust_bundle: certs/ca.pem } }
policy: { files: [policies] }
listeners:
  - name: db
    address: 127.0.0.1:17432
    upstream: db
    env: DATABASE_URL
    authenticate: [mtls, { token: { directory: tokens, agents: ["spiffe://example.org/agents/ann"] } }]
  - name: web
    address: 127.0.0.1:17403
    upstream: web
    env: WEB
    authenticate: [{ token: { directory: tokens, agents: ["spiffe://example.org/agents/ann"] } }, mtls]
  - name: sock
    address: unix:/run/sock
    upstream: web
    env: SOCK
    authenticate: { unix: { users: { 1001: spiffe://example.org/agents/ann } } }
  - name: jwt
    address: 127.0.0.1:17404
    upstream: web
    env: JWT
    authenticate: { jwt_svid: { audience: [a] } }
upstreams:
  db: { address: db.internal:5432, protocol: postgres, credentials: [{ agents: ["spiffe://example.org/agents/*"], username: app, password: p }] }
  web: { address: web.internal:80, protocol: http }
`;

/** How each listener is used by an agent who has this. */
function doorsOf(t: TestContext, agent: string, has: { readonly token?: true; readonly svid?: true }) {
	const workspace = makeWorkspace(t);
	if (has.token) workspace.write(`tokens/${agent}/token`, TOKEN);
	if (has.svid) workspace.agent(agent);
	const loaded = parseConfig(LISTENERS, workspace.path('sallyport.yaml'), {});
	if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems));
	const known = agentDoors(loaded.config, agentNamed(agent, 'example.org'), undefined);
	const { set, notes } = agentEnvironment(known, loaded.config, {}, []);
	return {
		workspace,
		set,
		notes,
		ways: known.doors.map(({ listener, authenticate }) => `${listener} ${authenticate}`),
	};
}

test('with several ways the first counts that the agent has what it takes for, over TLS where that is required', t => {
	const both = doorsOf(t, 'ann', { token: true, svid: true });
	assert.deepEqual(both.ways, ['db mtls', 'web token', 'sock unix']);
	assert.equal(
		new URL(both.set['DATABASE_URL'] ?? '').searchParams.get('sslcert'),
		both.workspace.path('certs/ann.pem'),
	);
	assert.equal(both.set['WEB'], `https://ann:${TOKEN}@localhost:17403`);
	assert.equal(both.set['SOCK'], 'unix:/run/sock');
	assert.ok(both.notes.some(note => /^jwt: JWT-SVIDs are shown here/.test(note)));

	const token = doorsOf(t, 'ann', { token: true });
	assert.deepEqual(token.ways, ['db token', 'web token', 'sock unix']);
	const url = new URL(token.set['DATABASE_URL'] ?? '');
	assert.equal(url.password, TOKEN);
	assert.deepEqual(Object.fromEntries(url.searchParams), { sslmode: 'verify-full', sslrootcert: token.workspace.ca });

	assert.deepEqual(doorsOf(t, 'ann', { svid: true }).ways, ['db mtls', 'web mtls', 'sock unix']);
	assert.deepEqual(doorsOf(t, 'bob', { svid: true }).ways, ['db mtls', 'web mtls'], 'who is not listed has fewer ways');
	const nothing = doorsOf(t, 'bob', {});
	assert.deepEqual(nothing.ways, []);
	assert.ok(
		nothing.notes.some(note => /^db: there is no .*bob\.pem/.test(note)),
		'the first way is named',
	);
});
