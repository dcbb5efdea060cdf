import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { pgError, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { knownBy } from './support.ts';

test('a Postgres door that asks for a token only whoever showed no certificate, and lets nobody in without TLS', async t => {
	const workspace = makeWorkspace(t);
	const db = await usePostgres(t);
	const token = { directory: 'tokens', agents: ['spiffe://example.org/agents/t'] };
	const sallyport = await startSallyport(t, workspace, {
		policy: policyOf('allow := true'),
		config: {
			listeners: [{ name: 'db', address: '127.0.0.1:0', upstream: 'db', authenticate: ['mtls', { token }] }],
			upstreams: { db: { address: `127.0.0.1:${db.port}`, protocol: 'postgres' } },
		},
	});
	const port = Number(sallyport.address('db').split(':').at(-1));
	const password = readFileSync(workspace.path('tokens', 't', 'token'), 'utf8').trim();
	const read = (path: string): string => readFileSync(path, 'utf8');
	const ca = read(workspace.ca);
	const shown = (name: string, lifetime?: number) => {
		const pair = workspace.issue(
			name,
			`spiffe://example.org/agents/${name}`,
			lifetime === undefined ? {} : { lifetime },
		);
		return { ca, cert: read(pair.certificate), key: read(pair.key) };
	};
	const options = { port, user: 'postgres', database: 'postgres' };
	const last = (): string => knownBy(sallyport.records().findLast(({ type }) => type === 'decision'));

	await pgQuery({ ...options, ssl: shown('a') }, 'select 1');
	assert.equal(last(), 'spiffe://example.org/agents/a mtls');
	await pgQuery({ ...options, ssl: { ca }, password }, 'select 1');
	assert.equal(last(), 'spiffe://example.org/agents/t token');
	await pgQuery({ ...options, ssl: { ca }, sslnegotiation: 'direct', password }, 'select 1');
	assert.equal(last(), 'spiffe://example.org/agents/t token');

	const opened = db.connections();
	const expired = await pgError({ ...options, ssl: shown('old', -1000), password });
	assert.match(expired.message, /identity_expired/, 'a bad certificate is not made good by a token');
	const wrong = await pgError({ ...options, ssl: { ca }, password: 'wrong' });
	assert.match(wrong.message, /identity_invalid/);
	const clear = await pgError({ ...options, password });
	assert.match(clear.message, /identity_missing/, 'no token is taken in the clear');
	assert.equal(db.connections(), opened);
	for (const cause of ['identity_expired', 'identity_invalid', 'identity_missing'])
		await sallyport.waitForRecord(record => record.cause === cause, cause);
	assert.equal(JSON.stringify(sallyport.records()).includes(password), false);
});
