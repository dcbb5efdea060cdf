import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEcho } from '../support/echo.ts';
import { pgClient, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { Caller } from './caller.ts';
import { startLedger } from './ledger.ts';
import { Load } from './load.ts';
import { Mount } from './mount.ts';
import { serialAt, Tunnel } from './wires.ts';

const ROTATIONS = 24;
const RELOAD_EVERY = 8;
const AGENT = 'spiffe://example.org/agents/a';
/** Of the SVIDs of the agent `short`, which expire in the middle of it. */
const SHORT = 8000;

test(`nothing fails and nothing drops over ${ROTATIONS} rotations of everything, a change of the CA among them`, async t => {
	const workspace = makeWorkspace(t);
	const mount = new Mount(workspace, SHORT);
	mount.give(0);
	const db = await usePostgres(t, {
		sql: ['even', 'odd'].map(role => `create role ${role} login password 'held-${role}'`),
		hba: ['even', 'odd'].map(role => `host all ${role} all scram-sha-256`),
	});
	const tool = await startUpstream(t);
	const ledger = await startLedger(t, mount);
	const echo = await startEcho(t);
	const every = () => ['spiffe://example.org/agents/**'];
	const sallyport = await startSallyport(t, workspace, {
		config: {
			identity: {
				trust_domain: 'example.org',
				svid: { files: mount.files('sallyport') },
			},
			listeners: [
				{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
				{
					name: 'tokens',
					address: '127.0.0.1:0',
					serves: 'http_proxy',
					authenticate: { token: { directory: 'tokens', agents: [AGENT], rotate: '2s' } },
				},
				{ name: 'orders', address: '127.0.0.1:0', upstream: 'orders' },
			],
			upstreams: {
				tool: {
					address: tool.address,
					hosts: ['tool.test'],
					protocol: 'http',
					credentials: [{ agents: every(), bearer: { file: mount.path('bearer') } }],
				},
				ledger: {
					address: ledger.address,
					hosts: ['ledger.test'],
					protocol: 'http',
					upgrade: true,
					tls: { spiffe_id: 'spiffe://example.org/ledger', present_svid: true },
				},
				echo: { address: echo.address, hosts: ['echo.test'], protocol: 'tcp' },
				orders: {
					address: `127.0.0.1:${db.port}`,
					protocol: 'postgres',
					credentials: [
						{
							agents: every(),
							username: { file: mount.path('username') },
							password: { file: mount.path('password') },
						},
					],
				},
			},
		},
	});
	const egress = sallyport.address('egress');
	const toolAt = `http://tool.test:${tool.port}/`;

	const load = new Load();
	/** A reload ends HTTP connections on which nothing is under way. */
	let reloading = false;
	const mayEnd = (): boolean => reloading;
	const agent = new Caller(t, egress, () => mount.tls('a'), mayEnd);
	const short = new Caller(t, egress, () => mount.tls('short'), mayEnd);
	const byToken = new Caller(t, sallyport.address('tokens'), undefined, mayEnd);
	load.run('calls of an agent that renews its SVID', () => agent.get(toolAt));
	load.run('calls of an agent whose SVIDs expire meanwhile', () => short.get(toolAt));
	load.run('calls to an upstream by mutual TLS', () => agent.get(`http://ledger.test:${ledger.port}/`));
	const tokens = new Set<string>();
	load.run('calls by token', () => {
		const token = mount.basic('tokens/a/token');
		tokens.add(token);
		return byToken.get(toolAt, { 'proxy-authorization': token });
	});
	load.run('calls on connections of their own', async () => {
		const fresh = new Caller(t, egress, () => mount.tls('a'), mayEnd);
		await fresh.get(toolAt);
		fresh.close();
	});
	const postgres = () => ({
		port: Number(sallyport.address('orders').split(':').at(-1)),
		user: 'asked',
		database: 'postgres',
		ssl: mount.tls('a'),
	});
	const held = pgClient(postgres());
	await held.connect();
	load.run('statements of one session', async () => {
		await held.query('begin');
		assert.equal((await held.query('select 41 + 1 as answer')).rows[0].answer, 42);
		await held.query('commit');
	});
	/** Whom the database let in, whenever that was another one than before. */
	const logins: string[] = [];
	load.run('sessions of their own', async () => {
		const [row] = await pgQuery(postgres(), 'select current_user as me');
		const me = String(row?.['me']);
		assert.ok(['even', 'odd'].includes(me));
		if (logins.at(-1) !== me) logins.push(me);
	});
	const tunnel = await Tunnel.open(t, egress, `echo.test:${echo.port}`, mount.tls('a'));
	load.run('rounds through one tunnel', () => tunnel.round());

	const reloads = () => sallyport.stderr().split('"the configuration was read again"').length - 1;
	const waits: number[] = [];
	for (let n = 1; n <= ROTATIONS; n++) {
		const before = load.counts();
		mount.give(n);
		ledger.renew();
		// Now and then everything is read again in the middle of it.
		if (n % RELOAD_EVERY === 0) {
			reloading = true;
			sallyport.signal('SIGHUP');
			await until(() => reloads() === n / RELOAD_EVERY, 'everything is read again');
		}
		const since = performance.now();
		await until(async () => (await serialAt(egress, mount.tls('a'))) === mount.serial, `rotation ${n} is in force`);
		waits.push(Math.round(performance.now() - since));
		// Every kind of load goes on under what is new.
		await until(() => load.failures.length > 0 || load.all(before), `the load goes on after rotation ${n}`);
		assert.deepEqual(load.failures, []);
		reloading = false;
	}
	await until(
		() => load.failures.length > 0 || (short.connections > 1 && tokens.size > 2),
		'SVIDs expire, and tokens are renewed, in the middle of the load',
	);
	await load.stop();
	assert.deepEqual(load.failures, []);
	assert.equal((await held.query('select 1 as one')).rows[0].one, 1);
	await held.end();
	await tunnel.round();
	const bearers = new Set(tool.seen.map(seen => seen.header('authorization')));
	assert.ok(bearers.size > ROTATIONS / 2, `${bearers.size} tokens were shown to the upstream`);
	assert.ok(tokens.size > 2, `${tokens.size} tokens were shown to Sallyport`);
	assert.ok(logins.length > ROTATIONS / 2, `the database let ${logins.length} logins in, one after the other`);
	const failed = sallyport.records().filter(({ type, cause }) => type === 'outcome' && cause !== 'completed');
	assert.deepEqual(failed, []);
	t.diagnostic(`a new certificate is shown ${Math.min(...waits)} to ${Math.max(...waits)} ms after it was written`);
	t.diagnostic(load.told());
});
