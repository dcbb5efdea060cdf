import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { usePostgres } from '../support/postgres.ts';
import { hasPsql } from '../support/psql.ts';
import { SALLYPORT, startSallyport } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { programOf } from './check.ts';
import { type DATABASE_CLIENTS, DATABASE_WAYS } from './matrix.ts';
import { python } from './python.ts';
import { AGENT, freePort } from './stage.ts';

const found = python();

/** Each asks who it is and where, by the URL in the variable. */
const COMMANDS: Readonly<
	Record<keyof typeof DATABASE_CLIENTS, { readonly missing?: string; words(variable: string): readonly string[] }>
> = {
	psql: {
		...(hasPsql() ? {} : { missing: 'psql is not installed' }),
		words: variable => [
			'sh',
			'-c',
			`psql --no-psqlrc -At "$${variable}" -c "select json_build_object('row', current_user || '@' || current_database())"`,
		],
	},
	pg: { words: variable => [process.execPath, programOf('pg.mjs'), variable] },
	psycopg: {
		...('missing' in found ? found : {}),
		words: variable => ['path' in found ? found.path : '', programOf('psycopg_client.py'), variable],
	},
};

test('clients of Postgres, unmodified, by the URLs that exec gives them', async t => {
	const workspace = makeWorkspace(t);
	// libpq takes no key that others may read.
	for (const name of ['worker', 'stranger']) chmodSync(workspace.agent(name).key, 0o600);
	const db = await usePostgres(t, {
		sql: ["create role reader login password 'held-by-sallyport'", 'create database shop'],
		hba: ['host shop reader 127.0.0.1/32 scram-sha-256'],
	});
	mkdirSync(workspace.path('run'));
	const door = { upstream: 'shop', user: 'anybody', database: 'shop' };
	const sallyport = await startSallyport(t, workspace, {
		policy: { 'connect.rego': 'package sallyport.connect\n\nallow if input.agent.path == "/agents/worker"\n' },
		config: {
			listeners: [
				{ name: 'mtls', address: `127.0.0.1:${await freePort()}`, env: 'BY_MTLS', ...door },
				{
					name: 'token',
					address: `127.0.0.1:${await freePort()}`,
					env: 'BY_TOKEN',
					...door,
					authenticate: { token: { directory: workspace.path('tokens'), agents: [AGENT] } },
				},
				{
					name: 'socket',
					address: `unix:${workspace.path('run', '.s.PGSQL.5432')}`,
					env: 'BY_SOCKET',
					...door,
					authenticate: { as: AGENT },
				},
			],
			upstreams: {
				shop: {
					address: `127.0.0.1:${db.port}`,
					protocol: 'postgres',
					credentials: [
						{ agents: ['spiffe://example.org/agents/*'], username: 'reader', password: 'held-by-sallyport' },
					],
				},
			},
		},
	});
	const ask = async (agent: string, words: readonly string[]): Promise<string> => {
		const child = spawn(
			SALLYPORT,
			[
				'exec',
				'--agent',
				agent,
				'--config',
				workspace.path('sallyport.yaml'),
				'--doors-only',
				'--quiet',
				'--',
				...words,
			],
			{
				env: { PATH: process.env['PATH'], HOME: '/nonexistent', NODE_NO_WARNINGS: '1' },
				timeout: 30_000,
			},
		);
		let said = '';
		for (const stream of [child.stdout, child.stderr]) {
			stream.setEncoding('utf8').on('data', (text: string) => {
				said += text;
			});
		}
		await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
		return said.trim();
	};
	for (const [name, { missing, words }] of Object.entries(COMMANDS)) {
		for (const way of DATABASE_WAYS) {
			await t.test(`${name} by ${way}`, { skip: missing ?? false }, async () => {
				const from = sallyport.records().at(-1)?.seq ?? 0;
				const said = await ask('worker', words(`BY_${way.toUpperCase()}`));
				assert.match(said, /^\{"row" ?: ?"reader@shop"\}$/);
				const { call } = await sallyport.waitForRecord(
					({ type, seq }) => type === 'decision' && seq > from,
					`the session of ${name} by ${way}`,
				);
				assert.deepEqual(
					[call?.['listener'], call?.['agent'], call?.['authentication']],
					[way, AGENT, way === 'socket' ? 'as' : way],
				);
			});
		}
		await t.test(`${name}, refused`, { skip: missing ?? false }, async () => {
			const before = db.connections();
			assert.match(await ask('stranger', words('BY_MTLS')), /no_rule/);
			assert.equal(db.connections(), before, 'the database sees nothing of it');
		});
	}
});
