import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOOPBACK_NAMES } from '../../src/identity/dev-ca.ts';
import { curl } from '../support/curl.ts';
import { AUDIENCE, ecKey, jwt, jwtBundle } from '../support/jwt.ts';
import { startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

/** Agent A calls agent B: out through A's Sallyport, in through B's. */
test('two Sallyports in a row: each judges and records what it sees, and a no of either is the end', async t => {
	const a = makeWorkspace(t);
	const b = makeWorkspace(t);
	// One trust domain; in B's folder stand B's own certificate and key, issued by the CA of A's.
	const own = a.issue('sallyport-a', 'spiffe://example.org/sidecars/a', { names: LOOPBACK_NAMES });
	const bs = a.issue('sallyport-b', 'spiffe://example.org/sidecars/b', { names: LOOPBACK_NAMES });
	const key = ecKey();
	const keys = b.write('keys.json', jwtBundle({ k: key }));
	const server = await startUpstream(t);

	const identity = (pair: typeof own, more: object = {}): object => ({
		trust_domain: 'example.org',
		svid: { files: { certificate: pair.certificate, key: pair.key, trust_bundle: a.ca, ...more } },
	});
	const inbound = {
		address: '127.0.0.1:0',
		serves: 'inbound',
		upstream: 'own',
		agent: 'spiffe://example.org/agents/b',
	};
	const sallyportB = await startSallyport(t, b, {
		policy: {
			'inbound.rego': [
				'package sallyport.inbound.request',
				'allow if {\n\tinput.agent.id == "spiffe://example.org/sidecars/a"\n\tinput.target.agent == "spiffe://example.org/agents/b"\n\tinput.call.effect == "read"\n}',
				'allow if {\n\tinput.agent.id == "spiffe://example.org/agents/a"\n\tinput.agent.authentication == "jwt_svid"\n}',
			].join('\n\n'),
		},
		config: {
			identity: identity(bs, { jwt_bundle: keys }),
			listeners: [
				{ ...inbound, name: 'in', agents: ['spiffe://example.org/sidecars/a'] },
				{
					...inbound,
					name: 'in-jwt',
					agents: ['spiffe://example.org/agents/*'],
					authenticate: [{ jwt_svid: { audience: [AUDIENCE], header: 'x-agent-jwt' } }, 'mtls'],
				},
			],
			upstreams: { own: { address: server.address, hosts: ['b.test'], protocol: 'http' } },
		},
	});
	const upstream = (listener: string, host: string, spiffeId = 'spiffe://example.org/sidecars/b'): object => ({
		address: sallyportB.address(listener),
		hosts: [host],
		protocol: 'http',
		upgrade: true,
		tls: { spiffe_id: spiffeId, present_svid: true },
	});
	const sallyportA = await startSallyport(t, a, {
		policy: {
			'request.rego':
				'package sallyport.request\n\nallow if {\n\tinput.agent.path == "/agents/a"\n\tnot input.http.path == "/never"\n}\n',
		},
		config: {
			identity: identity(own),
			upstreams: {
				b: upstream('in', 'b.test'),
				'b-jwt': upstream('in-jwt', 'b-jwt.test'),
				other: upstream('in', 'other.test', 'spiffe://example.org/sidecars/c'),
			},
		},
	});
	const port = (listener: string): string => sallyportB.address(listener).split(':').at(-1) ?? '';
	const call = (url: string, agent = 'a', ...more: string[]) => {
		const pair = a.agent(agent);
		const proxy = ['--proxy', `https://localhost:${sallyportA.address('egress').split(':').at(-1)}`];
		const shown = ['--proxy-cacert', a.ca, '--proxy-cert', pair.certificate, '--proxy-key', pair.key];
		return curl([...proxy, ...shown, ...more, url]);
	};
	const decided = (sallyport: typeof sallyportA) => sallyport.records().filter(({ type }) => type === 'decision');
	const url = (path: string): string => `http://b.test:${port('in')}${path}`;

	const good = await call(url('/x'));
	assert.equal(good.status, 200, `${good.error} ${good.body}`);
	assert.equal(good.json()['url'], '/x', "the answer of B's own server");
	assert.equal(decided(sallyportA).at(-1)?.call?.['agent'], 'spiffe://example.org/agents/a');
	const atB = decided(sallyportB).at(-1);
	assert.equal(
		atB?.call?.['agent'],
		'spiffe://example.org/sidecars/a',
		"B sees whose SVID it is shown: that of A's Sallyport",
	);
	assert.equal(atB?.['path'], 'sallyport/inbound/request');
	assert.match(JSON.stringify(atB?.call?.['target']), /"agent":"spiffe:\/\/example.org\/agents\/b"/);

	const seen = server.seen.length;
	const never = await call(url('/never'));
	assert.equal(never.json()['cause'], 'no_rule');
	assert.equal(decided(sallyportB).length, 1, "A's Sallyport said no: nothing came to B's");
	const write = await call(url('/x'), 'a', '-X', 'DELETE');
	assert.equal(write.status, 403);
	assert.equal(write.json()['decision_id'], decided(sallyportB).at(-1)?.decision_id, "B's own refusal comes back");
	const outcome = await sallyportA.waitForRecord(
		({ type, status }) => type === 'outcome' && status === 403,
		"A's record of the answer",
	);
	assert.equal(outcome.cause, 'completed');
	assert.equal((await call(url('/x'), 'c')).json()['cause'], 'no_rule');
	const wrong = await call(`http://other.test:${port('in')}/x`);
	assert.equal(wrong.json()['cause'], 'upstream_tls', "who is not the Sallyport that A's expects gets nothing");
	assert.equal(server.seen.length, seen);

	// Around A's Sallyport B's is not to be had: an agent's own SVID is not let in.
	const around = await openWire(t, sallyportB.address('in'), { agent: a.agent('a') });
	around.send('GET /x HTTP/1.1\r\nHost: b\r\n\r\n');
	assert.match(await around.closed(), /listener_forbidden/);

	// The agent's own JWT-SVID goes through A's Sallyport to B's, which then knows the agent itself.
	const jwtUrl = `http://b-jwt.test:${port('in-jwt')}/y`;
	const token = jwt({ key, claims: { sub: 'spiffe://example.org/agents/a' } });
	const named = await call(jwtUrl, 'a', '-X', 'PUT', '-H', `x-agent-jwt: ${token}`);
	assert.equal(named.status, 200, `${named.error} ${named.body}`);
	assert.equal(decided(sallyportB).at(-1)?.call?.['agent'], 'spiffe://example.org/agents/a');
	assert.equal(decided(sallyportB).at(-1)?.call?.['authentication'], 'jwt_svid');
	assert.equal(server.seen.at(-1)?.header('x-agent-jwt'), undefined, 'B itself does not get it');
	const alone = await curl(['--cacert', a.ca, '-H', `x-agent-jwt: ${token}`, `https://localhost:${port('in-jwt')}/z`]);
	assert.equal(alone.status, 200, 'it needs no certificate beside it');
	const bare = await call(jwtUrl);
	assert.equal(bare.json()['detail'], 'another agent uses this connection', "without it there is only A's Sallyport");
});
