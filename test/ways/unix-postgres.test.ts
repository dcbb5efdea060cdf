import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { usePostgres } from '../support/postgres.ts';
import { hasPsql } from '../support/psql.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { KNOWN, knownBy, openSocketPath, ROOT, UNKNOWN } from './support.ts';

const skip = !ROOT || !hasPsql();

test('a Postgres door on a Unix socket knows its agents by the user that psql runs as', { skip }, async t => {
	const workspace = makeWorkspace(t);
	const path = openSocketPath(workspace, '.s.PGSQL.5432');
	const db = await usePostgres(t);
	const users = { [KNOWN]: 'spiffe://example.org/agents/known' };
	const sallyport = await startSallyport(t, workspace, {
		policy: policyOf('allow if input.agent.authentication == "unix"'),
		config: {
			listeners: [
				{ name: 'db', address: `unix:${path}`, upstream: 'db', mode: '0666', authenticate: { unix: { users } } },
			],
			upstreams: { db: { address: `127.0.0.1:${db.port}`, protocol: 'postgres' } },
		},
	});
	const psql = (uid: number): Promise<{ stdout: string; stderr: string }> =>
		new Promise(resolve => {
			const connection = `host=${workspace.path('run')} user=postgres dbname=postgres`;
			const env = { PATH: process.env['PATH'], HOME: '/nonexistent' };
			execFile(
				'psql',
				['-XwAt', '-d', connection, '-c', 'select 40 + 2'],
				{ uid, gid: uid, env, cwd: '/' },
				(_, stdout, stderr) => resolve({ stdout, stderr }),
			);
		});

	const known = await psql(KNOWN);
	assert.equal(known.stdout.trim(), '42', known.stderr);
	assert.equal(
		knownBy(sallyport.records().find(({ type }) => type === 'decision')),
		'spiffe://example.org/agents/known unix',
	);
	const opened = db.connections();
	const stranger = await psql(UNKNOWN);
	assert.match(stranger.stderr, /identity_invalid/);
	assert.match(stranger.stderr, /no agent runs as the user 64102/);
	await sallyport.waitForRecord(({ cause }) => cause === 'identity_invalid', 'the refusal');
	assert.equal(db.connections(), opened, 'the stranger reached nothing');
});
