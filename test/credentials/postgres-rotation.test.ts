import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pgClient, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';

const ROTATIONS = 20;

test('user name and password of a database rotate together: no session drops, and none is opened with half of each', async t => {
	const workspace = makeWorkspace(t);
	const roles = ['even', 'odd'];
	const db = await usePostgres(t, {
		sql: roles.map(role => `create role ${role} login password 'held-${role}'`),
		hba: roles.map(role => `host all ${role} all scram-sha-256`),
	});
	const mount = workspace.path('mount');
	mkdirSync(mount);
	const give = (n: number): void => {
		const role = roles[n % 2] ?? '';
		mkdirSync(join(mount, `..v${n}`));
		writeFileSync(join(mount, `..v${n}`, 'username'), `${role}\n`);
		writeFileSync(join(mount, `..v${n}`, 'password'), `held-${role}\n`);
		symlinkSync(`..v${n}`, join(mount, '..next'));
		renameSync(join(mount, '..next'), join(mount, '..data'));
		if (n > 0) rmSync(join(mount, `..v${n - 1}`), { recursive: true });
	};
	give(0);
	for (const name of ['username', 'password']) symlinkSync(`..data/${name}`, join(mount, name));
	const sallyport = await startSallyport(t, workspace, {
		config: {
			listeners: [
				{
					name: 'orders',
					address: '127.0.0.1:0',
					upstream: 'orders',
					authenticate: { token: { directory: 'tokens', agents: ['spiffe://example.org/agents/a'] } },
				},
			],
			upstreams: {
				orders: {
					address: `127.0.0.1:${db.port}`,
					protocol: 'postgres',
					credentials: [
						{
							agents: ['spiffe://example.org/agents/*'],
							name: 'vault',
							username: { file: 'mount/username' },
							password: { file: 'mount/password' },
						},
					],
				},
			},
		},
	});
	const password = readFileSync(workspace.path('tokens/a/token'), 'utf8').trim();
	const port = Number(sallyport.address('orders').split(':')[1]);
	const options = { port, user: 'asked', database: 'postgres', password };
	const me = async (): Promise<unknown> => (await pgQuery(options, 'select current_user as me'))[0]?.['me'];

	const held = pgClient(options);
	await held.connect();
	let stop = false;
	let opened = 0;
	const load = async (): Promise<void> => {
		while (!stop) {
			assert.ok(roles.includes(String(await me())));
			await held.query('select 1');
			opened++;
		}
	};
	const loads = Promise.all([load(), load()]);
	loads.catch(() => {});
	for (let n = 1; n <= ROTATIONS; n++) {
		give(n);
		await until(async () => (await me()) === roles[n % 2], `rotation ${n} is in force`);
	}
	stop = true;
	await loads;
	assert.equal((await held.query('select current_user as me')).rows[0].me, 'even', 'it signed in before the first');
	await held.end();
	assert.ok(opened >= ROTATIONS);
	await sallyport.stop();
	const records = sallyport.records();
	assert.deepEqual(
		records.filter(({ type, cause }) => type === 'outcome' && cause !== 'completed'),
		[],
	);
	assert.match(JSON.stringify(records), /"credential":"vault"/);
	assert.doesNotMatch(JSON.stringify(records) + sallyport.stderr(), /held-/);
});
