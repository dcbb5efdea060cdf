import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { newKey } from '../../src/identity/mint.ts';
import { sallyport as command } from '../cli/run.ts';
import { curl, throughProxy } from '../support/curl.ts';
import { pgError, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { given } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { startWorkloadApi } from '../support/workload-api.ts';
import { makeWorkspace } from '../support/workspace.ts';

const NAMES = [
	...['header', 'env', 'basic_user', 'basic_password', 'command', 'argument', 'stderr', 'broken_file', 'broken_text'],
	...['db_password', 'db_wrong', 'db_agent', 'sent_authorization', 'sent_cookie', 'sent_key', 'sent_query'],
	...['sent_proxy', 'sent_body', 'sent_userinfo', 'inline'],
] as const;
type Name = (typeof NAMES)[number];
const seedOf = (name: Name): string => `SEED${name.replaceAll('_', '')}q7Zx`;

/** The forms in which a text may be written. */
function formsOf(seed: string): string[] {
	const bytes = Buffer.from(seed);
	// The first three and the last bytes of a base64 text hang on what stands around it.
	const shifted = [0, 1, 2].map(shift =>
		Buffer.concat([Buffer.alloc(shift), bytes])
			.toString('base64')
			.slice(4, -4),
	);
	return [seed, encodeURIComponent(seed), bytes.toString('hex'), bytes.toString('base64url').slice(0, -2), ...shifted];
}

const filesBelow = (folder: string): string[] =>
	readdirSync(folder, { recursive: true, withFileTypes: true })
		.filter(entry => entry.isFile())
		.map(entry => join(entry.parentPath, entry.name));

const text = (url: string): Promise<string> =>
	new Promise((resolve, reject) => {
		get(url, { agent: false }, response => {
			let body = '';
			response.setEncoding('utf8').on('data', (part: string) => {
				body += part;
			});
			response.on('end', () => resolve(body)).on('error', reject);
		}).on('error', reject);
	});

test('secrets of every kind are seeded, and nothing that the process writes holds one', async t => {
	const workspace = makeWorkspace(t);
	const seeds = Object.fromEntries(NAMES.map(name => [name, seedOf(name)])) as Record<Name, string>;
	const upstream = await startUpstream(t, {
		answer: (request, response) => {
			request.resume();
			// Of what Sallyport holds; of its own the agent hears as the upstream likes.
			const { authorization, 'x-api-key': key } = request.headers;
			const echo = [authorization, key].filter(value => !String(value).includes('SEEDsent')).join();
			response.writeHead(200, { 'x-echo': echo, 'set-cookie': `own=${seeds.sent_cookie}` });
			response.end('good');
		},
	});
	const db = await usePostgres(t, {
		sql: [`create role held login password '${seeds.db_password}'`],
		hba: ['host all held all scram-sha-256'],
	});
	const api = await startWorkloadApi(t, workspace.path('api.sock'));
	const svid = given(workspace.authority);
	api.give({ svids: [svid] });
	const jwts: string[] = [];
	api.onJwtSvid((aud, sub) => {
		const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
		jwts.push(
			`${part({ alg: 'ES256' })}.${part({ sub, aud, exp: Math.floor(Date.now() / 1000) + 300 })}.c2lnbmF0dXJlSEED`,
		);
		return jwts.at(-1) ?? '';
	});
	const auditKey = newKey().export({ type: 'pkcs8', format: 'pem' }).toString();
	workspace.write('secrets/audit.key', auditKey);
	workspace.write('secrets/basic', `${seeds.basic_password}\n`);
	workspace.write('secrets/db', seeds.db_password);
	workspace.write('secrets/rotating', 'good-for-now');
	workspace.write(
		'secrets/vault',
		`#!/bin/sh\necho "${seeds.stderr}" >&2\n[ "$1" = fail ] && { echo ${seeds.command}; exit 1; }\necho ${seeds.command}\n`,
	);
	chmodSync(workspace.path('secrets/vault'), 0o755);

	const agent = (name: string) => [`spiffe://example.org/agents/${name}`];
	const everybody = ['header', 'env', 'basic', 'command', 'fails', 'file', 'jwt'];
	const credentials = [
		{ agents: agent('header'), header: { name: 'x-api-key', value: seeds.header } },
		{ agents: agent('env'), name: 'env', bearer: { env: 'SEED_VARIABLE' } },
		{ agents: agent('basic'), basic: { username: seeds.basic_user, password: { file: 'secrets/basic' } } },
		{ agents: agent('command'), bearer: { command: ['secrets/vault', seeds.argument], ttl: '1s' } },
		{ agents: agent('fails'), bearer: { command: ['secrets/vault', 'fail'] } },
		{ agents: agent('file'), bearer: { file: 'secrets/rotating' } },
		{ agents: agent('jwt'), jwt_svid: { audience: 'crm' } },
	];
	const database = (password: unknown) => ({
		address: `127.0.0.1:${db.port}`,
		protocol: 'postgres',
		credentials: [{ agents: ['spiffe://example.org/agents/*'], username: 'held', password }],
	});
	const token = (directory: string) => ({
		token: { directory, agents: everybody.map(name => `spiffe://example.org/agents/${name}`) },
	});
	const config = {
		identity: { trust_domain: 'example.org', svid: { workload_api: {} } },
		policy: { files: ['policies'] },
		listeners: [
			{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
			{ name: 'tokens', address: '127.0.0.1:0', serves: 'http_proxy', authenticate: token('tokens') },
			{ name: 'door', address: '127.0.0.1:0', upstream: 'crm', authenticate: token('tokens') },
			{ name: 'orders', address: '127.0.0.1:0', upstream: 'orders', authenticate: token('tokens') },
			{ name: 'wrong', address: '127.0.0.1:0', upstream: 'wrong', authenticate: token('tokens') },
		],
		upstreams: {
			crm: {
				address: upstream.address,
				hosts: ['crm.internal'],
				protocol: 'http',
				credentials,
				forward_client_cert: true,
			},
			plain: { address: upstream.address, hosts: ['plain.internal'], protocol: 'http' },
			orders: database({ file: 'secrets/db' }),
			wrong: { ...database(seeds.db_wrong), hosts: ['wrong.internal'] },
		},
		audit: { key: 'secrets/audit.key', sinks: [{ stdout: {} }, { file: { path: 'sink.jsonl' } }] },
		admin: { health: { address: '127.0.0.1:0' }, control: { socket: workspace.path('control.sock') } },
		log: { level: 'debug' },
	};
	for (const name of everybody) workspace.agent(name);
	const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
	const policy = {
		// They read everything, so that everything is a candidate for the record.
		...policyOf('allow if input.http\n\ndeny contains "no" if input.http.path == "/denied"', 'allow if input'),
		'response.rego': 'package sallyport.response\n\nallow if input\n',
	};
	const env = { SEED_VARIABLE: seeds.env, SPIFFE_ENDPOINT_SOCKET: api.socket };
	for (const [name, rego] of Object.entries(policy)) workspace.write(`policies/${name}`, rego);
	workspace.write('sallyport.yaml', stringify(copy(config)));
	const given_ = new Map(filesBelow(workspace.directory).map(path => [path, statSync(path).mtimeMs]));
	const sallyport = await startSallyport(t, workspace, { config: copy(config), policy, env });
	await until(
		async () => !(await sallyport.metrics()).includes('sallyport_svid_not_after_timestamp_seconds 0'),
		'an SVID',
	);

	const said: string[] = [];
	const through = (name: string) => throughProxy(workspace, sallyport.address('egress'), workspace.agent(name));
	const sent = [
		...['-H', `authorization: Bearer ${seeds.sent_authorization}`, '-H', `cookie: a=${seeds.sent_cookie}`],
		...['-H', `x-api-key: ${seeds.sent_key}`, '-H', 'content-type: application/json'],
		...['--data', JSON.stringify({ password: seeds.sent_body })],
	];
	const at = (host: string, path = `/?token=${seeds.sent_query}`): string => `http://${host}:${upstream.port}${path}`;
	const call = async (status: number, args: readonly string[]): Promise<void> => {
		const answer = await curl(args);
		assert.equal(answer.status, status, `${args.join(' ')}: ${answer.error} ${answer.body} ${sallyport.stderr()}`);
		// The cookie is for the agent, and for no record.
		said.push(answer.body, JSON.stringify({ ...answer.headers, 'set-cookie': [] }));
	};
	for (const name of ['header', 'env', 'basic', 'command', 'file'])
		await call(200, [...through(name), ...sent, at('crm.internal')]);
	await until(async () => (await curl([...through('jwt'), at('crm.internal')])).status === 200, 'the JWT-SVID is used');
	await call(403, [...through('fails'), ...sent, at('crm.internal')]);
	await call(403, [...through('header'), ...sent, at('crm.internal', `/denied?token=${seeds.sent_query}`)]);
	await call(403, [...through('header'), '-X', 'TRACE', at('crm.internal')]);
	await call(200, [...through('header'), ...sent, at('plain.internal')]);
	await call(400, [
		...through('header'),
		'--request-target',
		`http://u:${seeds.sent_userinfo}@plain.internal/`,
		at('plain.internal'),
	]);
	assert.ok(upstream.raw().includes(seeds.header) && upstream.raw().includes(seeds.command), 'they were used');

	// By tokens, good and bad.
	const tokens = everybody.map(name => readFileSync(workspace.path('tokens', name, 'token'), 'utf8').trim());
	const own = tokens[0] ?? '';
	const proxy = ['--proxy', `http://${sallyport.address('tokens')}`];
	await call(200, [...proxy, '--proxy-user', `agent:${own}`, at('crm.internal')]);
	await call(403, [...proxy, '--proxy-user', `agent:${seeds.sent_proxy}`, at('crm.internal')]);
	await call(200, ['-H', `authorization: Bearer ${own}`, `http://${sallyport.address('door')}/`]);
	await call(403, ['-H', `authorization: Bearer ${seeds.sent_proxy}`, `http://${sallyport.address('door')}/`]);
	assert.equal(upstream.raw().includes(own), false, 'a token goes no further');
	const wire = await openWire(t, sallyport.address('tokens'));
	wire.send(
		`GET http://x/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ${seeds.sent_proxy}\r\nBad Header: ${seeds.sent_key}\r\n\r\n`,
	);
	said.push(await wire.closed());

	// In the start-up of databases.
	const port = (listener: string): number => Number(sallyport.address(listener).split(':')[1]);
	const options = { user: 'asked', database: 'postgres', password: own };
	assert.deepEqual(await pgQuery({ ...options, port: port('orders') }, 'select current_user as me'), [{ me: 'held' }]);
	for (const error of [
		await pgError({ ...options, port: port('wrong') }),
		await pgError({ ...options, port: port('orders'), password: seeds.db_agent }),
	])
		said.push(JSON.stringify({ ...error, message: error.message }));

	// What rotates to something that cannot be used, and a configuration that cannot be read.
	workspace.write('secrets/rotating', `${seeds.broken_file}\r\nX-Injected: ${seeds.broken_text}`);
	await sallyport.waitForLog(
		({ source, problem }) => source === 'file' && problem !== undefined,
		'the file is refused',
	);
	const broken = {
		...config,
		upstreams: {
			...config.upstreams,
			crm: {
				...config.upstreams.crm,
				credentials: [
					{ agents: agent('a'), bearer: `${seeds.broken_text} with spaces` },
					{ agents: agent('b'), basic: seeds.inline },
					{ agents: agent('c'), bearer: { command: seeds.inline } },
					{ agents: agent('d'), bearer: { file: 'secrets/rotating' } },
				],
			},
		},
	};
	const outputs: string[] = [];
	const run = async (...words: string[]): Promise<void> => {
		const { out, err } = await command(words, { cwd: workspace.directory, env });
		outputs.push(out, err);
	};
	await Promise.all([run('status'), run('status', '--json'), run('config', 'check'), run('config', 'check', '--json')]);
	workspace.write('sallyport.yaml', stringify(copy(broken)));
	await Promise.all([run('config', 'check'), run('config', 'check', '--json'), run('reload')]);
	await Promise.all([run('status', '--json'), run('audit', 'query', '--directory', 'var/audit')]);
	const metrics = await sallyport.metrics();
	outputs.push(metrics, await text(`http://${sallyport.health()}/readyz`), ...said);
	const ended = await sallyport.stop();
	assert.equal(ended.code, 0);
	outputs.push(sallyport.stdout(), sallyport.stderr());
	assert.match(outputs.join('\n'), /has no valid value/);
	assert.match(JSON.stringify(said), /x-echo\S+\*\*/, 'an echo is masked');
	assert.ok(sallyport.stdout().split('\n').length > 20, 'records were streamed');

	const places: [string, string][] = outputs.map((output, index) => [`output ${index}`, output]);
	const written = filesBelow(workspace.directory).filter(
		path =>
			given_.get(path) !== statSync(path).mtimeMs && !/\/(tokens\/.*|secrets\/rotating|sallyport\.yaml)$/.test(path),
	);
	assert.ok(written.some(path => path.includes('var/audit')) && written.some(path => path.includes('var/policy')));
	for (const path of written) places.push([path, readFileSync(path, 'latin1')]);

	const keys = [auditKey, Buffer.from(svid.key ?? []).toString('base64')].flatMap(key =>
		key.split('\n').filter(line => line.length > 40 && !line.startsWith('-----')),
	);
	const needles = [
		...NAMES.flatMap(name => formsOf(seeds[name])),
		...tokens.flatMap(formsOf),
		...jwts.map(jwt => jwt.slice(jwt.indexOf('.') + 1)),
		...keys,
	];
	assert.ok(jwts.length > 0 && keys.length > 0);
	for (const [place, content] of places)
		for (const needle of needles)
			assert.equal(content.includes(needle), false, `${needle} in ${place}: ${around(content, needle)}`);
});

const around = (content: string, needle: string): string => {
	const found = content.indexOf(needle);
	return content.slice(Math.max(0, found - 200), found + needle.length + 50);
};
