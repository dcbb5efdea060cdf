import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { AUDIENCE, ecKey, jwt, jwtBundle, seconds } from '../support/jwt.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a connection is one agent, known in one way, whatever its later requests show', async t => {
	const workspace = makeWorkspace(t);
	const key = ecKey();
	workspace.write('keys.json', jwtBundle({ k: key }));
	const certs = { certificate: 'certs/sallyport.pem', key: 'certs/sallyport.key', trust_bundle: 'certs/ca.pem' };
	const token = { directory: 'tokens', agents: ['spiffe://example.org/agents/a', 'spiffe://example.org/agents/b'] };
	const stage = await openStage(t, {
		workspace,
		listeners: [
			{
				name: 'door',
				address: '127.0.0.1:0',
				upstream: 'tool',
				authenticate: [{ jwt_svid: { audience: [AUDIENCE], header: 'x-forwarded-jwt' } }, { token }],
			},
		],
		config: { identity: { trust_domain: 'example.org', svid: { files: { ...certs, jwt_bundle: 'keys.json' } } } },
	});
	const get = (field: string): string => `GET /x HTTP/1.1\r\nHost: tool\r\n${field}\r\n\r\n`;
	const bearer = (name: string): string =>
		`Authorization: Bearer ${readFileSync(workspace.path('tokens', name, 'token'), 'utf8').trim()}`;
	const by = (sub: string, exp = 300): string =>
		`X-Forwarded-Jwt: ${jwt({ key, claims: { sub: `spiffe://example.org/agents/${sub}`, exp: seconds(exp) } })}`;

	for (const [title, first, second, says] of [
		['another agent', by('a'), by('b'), /another agent uses this connection/],
		['another agent by another way', by('a'), bearer('b'), /another agent uses this connection/],
		['the same agent by a weaker way', by('a'), bearer('a'), /known in another way/],
		['the same agent by a stronger way', bearer('a'), by('a'), /known in another way/],
		['nobody', by('a'), 'X-Other: 1', /no token was shown/],
		['the same agent, expired', by('a'), by('a', -5), /expired/],
		['bad evidence of the first way beside good of the second', by('a'), `${by('a', -5)}\r\n${bearer('a')}`, /expired/],
	] as const) {
		const wire = await openWire(t, stage.sallyport.address('door'));
		wire.send(get(first));
		await wire.receives(/HTTP\/1\.1 200 /);
		const seen = stage.tool.seen.length;
		wire.send(get(second));
		assert.match(await wire.receives(says), says, title);
		assert.equal(stage.tool.seen.length, seen, title);
		wire.socket.destroy();
	}

	// Renewed ones of the same agent go on on the same connection.
	const wire = await openWire(t, stage.sallyport.address('door'));
	for (const exp of [300, 301, 302]) wire.send(get(by('a', exp)));
	await wire.receives(/(HTTP\/1\.1 200 [\s\S]*){3}/);
	await stage.quiet();
});
