import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { type TestContext, test } from 'node:test';
import { certificatesToPem, keyToPem } from '../../src/identity/mint.ts';
import { sallyport as command } from '../cli/run.ts';
import { curl, throughProxy } from '../support/curl.ts';
import { type Sallyport, type Sections, startSallyport } from '../support/sallyport.ts';
import { authority, given, svidOf } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { startWorkloadApi, type WorkloadApiServer } from '../support/workload-api.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';

/** The real process beside a Workload API. */

interface Stage {
	readonly workspace: Workspace;
	readonly api: WorkloadApiServer;
	readonly sallyport: Sallyport;
	readonly upstream: Upstream;
	/** A call through the proxy; 0 when no handshake was possible. */
	call(agent?: { readonly certificate: string; readonly key: string }): Promise<number>;
	/** What /readyz says of the identity; empty when it is ready. */
	missing(): Promise<string>;
}

async function stage(
	t: TestContext,
	prepare: (api: WorkloadApiServer, workspace: Workspace) => void,
	more: { readonly identity?: object; readonly sections?: Sections } = {},
): Promise<Stage> {
	const workspace = makeWorkspace(t);
	const api = await startWorkloadApi(t, workspace.path('api.sock'));
	prepare(api, workspace);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		env: { SPIFFE_ENDPOINT_SOCKET: api.socket },
		config: {
			identity: { trust_domain: 'example.org', svid: { workload_api: {} }, ...more.identity },
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			...more.sections,
		},
	});
	const url = `http://crm.internal:${upstream.port}/`;
	return {
		workspace,
		api,
		sallyport,
		upstream,
		call: async (agent = workspace.agent('a')) =>
			(await curl([...throughProxy(workspace, sallyport.address('egress'), agent), url])).status,
		missing: async () => {
			const { ready, parts = [] } = await readiness(sallyport);
			const found = parts.find(({ part }) => part === 'identity')?.reason;
			assert.equal(ready, parts.length === 0);
			return found ?? '';
		},
	};
}

interface Readiness {
	readonly ready: boolean;
	readonly parts?: readonly { readonly part: string; readonly reason: string }[];
}

const readiness = (sallyport: Sallyport): Promise<Readiness> =>
	new Promise((resolve, reject) => {
		get(`http://${sallyport.health()}/readyz`, { agent: false }, response => {
			let text = '';
			response.setEncoding('utf8').on('data', (chunk: string) => {
				text += chunk;
			});
			response.on('end', () => resolve(JSON.parse(text) as Readiness)).on('error', reject);
		}).on('error', reject);
	});

const TOKENS = {
	listeners: [
		{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
		{
			name: 'tokens',
			address: '127.0.0.1:0',
			serves: 'http_proxy',
			authenticate: { token: { directory: 'tokens', agents: ['spiffe://example.org/agents/a'] } },
		},
	],
};

test('it starts without an identity, says so, and lets nobody finish a handshake; it serves once one is issued', async t => {
	const { workspace, api, sallyport, upstream, call, missing } = await stage(t, () => {}, { sections: TOKENS });
	await until(async () => /issues it no identity/.test(await missing()), '/readyz names the reason');
	assert.equal(await call(), 0);
	const record = await sallyport.waitForRecord(
		({ type, listener }) => type === 'session' && listener === 'egress',
		'the handshake that was refused',
	);
	assert.equal(record.cause, 'identity_missing');
	assert.equal(record['detail'], 'Sallyport has no SVID: the Workload API issues it no identity');
	assert.match(await sallyport.metrics(), /^sallyport_svid_not_after_timestamp_seconds 0$/m);

	// Who needs no certificate of Sallyport's is served.
	const token = readFileSync(workspace.path('tokens/a/token'), 'utf8');
	const byToken = await curl([
		'--proxy',
		`http://a:${token}@${sallyport.address('tokens')}`,
		`http://crm.internal:${upstream.port}/`,
	]);
	assert.equal(byToken.status, 200, byToken.body);

	const shown = await command(['status'], { cwd: workspace.directory });
	assert.equal(shown.code, 1);
	assert.match(shown.out, /^not ready /m);
	assert.match(shown.out, /^identity {2}none: no handshake is served$/m);
	assert.match(shown.out, /from the Workload API at unix:\/\/\S+api\.sock, not connected since \d{4}-/);
	assert.match(shown.out, /! the Workload API: no identity issued/);

	api.give({ svids: [given(workspace.authority)] });
	await until(async () => (await missing()) === '', 'it is ready');
	assert.equal(await call(), 200);
	const taken = await sallyport.waitForRecord(
		({ type, action, detail }) =>
			type === 'control' && action === 'identity' && JSON.stringify(detail).includes('spiffe://example.org/sallyport'),
		'the identity that is in force',
	);
	assert.match(String(taken['instance']), /\/example\.org$/);
	assert.match(
		await sallyport.metrics(),
		/^sallyport_svid_not_after_timestamp_seconds 1\.\d+e\+9$|^sallyport_svid_not_after_timestamp_seconds 1\d{9}/m,
	);
	const later = await command(['status'], { cwd: workspace.directory });
	assert.equal(later.code, 0);
	assert.match(later.out, /^identity {2}spiffe:\/\/example\.org\/sallyport$/m);
	assert.match(later.out, /api\.sock, connected since /);
	assert.match(later.out, /^ +example\.org {2}1 CAs {2}[0-9a-f]{12} {2}workload_api unix:/m);
	assert.doesNotMatch(sallyport.stderr(), /PRIVATE KEY/);
	for (const line of sallyport.stderr().split('\n').slice(0, -1))
		assert.doesNotThrow(() => void JSON.parse(line), line);
});

test('an identity that is withdrawn in the middle ends handshakes at once, also those that would be resumed', async t => {
	const { workspace, api, sallyport, call, missing } = await stage(t, (server, { authority: root }) =>
		server.give({ svids: [given(root)] }),
	);
	await until(async () => (await missing()) === '', 'it is ready');
	assert.equal(await call(), 200);
	const wire = await openWire(t, sallyport.address('egress'), { agent: workspace.agent('a') });
	const sessions: Buffer[] = [];
	wire.socket.on('session', (session: Buffer) => sessions.push(session));
	await until(() => sessions.length > 0, 'a ticket');

	api.fail(7, 'no identity issued');
	await until(async () => (await missing()) !== '', 'it is not ready any more');
	assert.equal(await call(), 0);
	await assert.rejects(
		openWire(t, sallyport.address('egress'), { agent: workspace.agent('a'), tls: { session: sessions[0] } }),
	);
	const refused = sallyport.records().filter(({ type, cause }) => type === 'session' && cause === 'identity_missing');
	assert.ok(refused.length > 0);
	await sallyport.waitForRecord(
		({ type, action, detail }) =>
			type === 'control' && action === 'identity' && JSON.stringify(detail).includes('missing'),
		'that there is no identity',
	);
	api.give({ svids: [given(workspace.authority)] });
	await until(async () => (await missing()) === '', 'it is ready again');
	assert.equal(await call(), 200);
});

test('a broken update keeps the old SVID and shows in status, metrics and log; readiness does not change', async t => {
	const { workspace, api, sallyport, call, missing } = await stage(t, (server, { authority: root }) =>
		server.give({ svids: [given(root)] }),
	);
	await until(async () => (await missing()) === '', 'it is ready');
	api.give({ svids: [{ ...given(workspace.authority), key: Buffer.from('rubbish') }] });
	const line = await sallyport.waitForLog(({ broken }) => broken !== undefined, 'the update that was not taken');
	assert.match(String(line['broken']), /^key: /);
	assert.match(await sallyport.metrics(), /^sallyport_reload_last_success\{part="identity"\} 0$/m);
	assert.equal(await missing(), '');
	assert.equal(await call(), 200);
	assert.match((await command(['status'], { cwd: workspace.directory })).out, /! the new SVID was not taken: key: /);
	const reload = await command(['reload', '--json'], { cwd: workspace.directory });
	assert.equal(reload.code, 1);
	assert.match(reload.out, /"part":"identity","message":"key: /);
	api.give({ svids: [given(workspace.authority)] });
	await until(
		async () => /^sallyport_reload_last_success\{part="identity"\} 1$/m.test(await sallyport.metrics()),
		'the next update is taken',
	);
});

test('an SVID that ran out, with nothing new in its place, ends readiness and handshakes', async t => {
	const { workspace, api, sallyport, call, missing } = await stage(t, (server, { authority: root }) =>
		server.give({ svids: [given(root)] }),
	);
	await until(async () => (await missing()) === '', 'it is ready');
	assert.equal(await call(), 200);
	api.give({ svids: [given(workspace.authority, undefined, { lifetime: 3_000 })] });
	await until(async () => (await missing()) === "Sallyport's SVID has expired", 'it is not ready any more');
	assert.equal(await call(), 0);
	const record = await sallyport.waitForRecord(({ type }) => type === 'session', 'the handshake that was refused');
	assert.deepEqual([record.cause, record['detail']], ['identity_expired', "Sallyport's SVID has expired"]);
});

test("agents of another domain come in where `agents` names it; Sallyport's own id is told of", async t => {
	const partner = authority('partner.org');
	const svid = (issuer: typeof partner, id: string) => svidOf(issuer, id, { agent: true });
	const { workspace, api, sallyport, upstream, call, missing } = await stage(
		t,
		(server, { authority: root }) => server.give({ svids: [given(root)], federated: { 'partner.org': [partner] } }),
		{
			sections: {
				listeners: [
					{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
					{
						name: 'partners',
						address: '127.0.0.1:0',
						serves: 'http_proxy',
						agents: ['spiffe://partner.org/agents/*'],
					},
				],
			},
		},
	);
	await until(async () => (await missing()) === '', 'it is ready');
	const save = (name: string, made: typeof partner) => ({
		certificate: workspace.write(`certs/${name}.pem`, certificatesToPem([made.certificate])),
		key: workspace.write(`certs/${name}.key`, keyToPem(made.key)),
	});
	const theirs = save('theirs', svid(partner, 'spiffe://partner.org/agents/a'));
	const forged = save('forged', svid(workspace.authority, 'spiffe://partner.org/agents/a'));
	const url = `http://crm.internal:${upstream.port}/`;
	const at = async (listener: string, agent: typeof theirs) => {
		const { status, body } = await curl([...throughProxy(workspace, sallyport.address(listener), agent), url]);
		return `${status} ${status === 200 ? '' : (JSON.parse(body) as { cause: string }).cause}`;
	};
	assert.equal(await at('partners', theirs), '200 ');
	assert.equal(await at('egress', theirs), '403 listener_forbidden');
	assert.equal(await at('partners', forged), '403 identity_invalid');
	assert.equal(await at('partners', workspace.agent('a')), '403 listener_forbidden');

	assert.equal(await call(save('own', svid(workspace.authority, 'spiffe://example.org/sallyport'))), 403);
	const shown = await command(['status'], { cwd: workspace.directory });
	assert.match(shown.out, /! Sallyport's own id was shown to it 1 times, last at /);
	assert.match(shown.out, /^ +partner\.org {2}1 CAs /m);

	// Without their bundle nobody of the domain is anybody.
	api.give({ svids: [given(workspace.authority)] });
	await until(async () => (await at('partners', theirs)) === '403 identity_invalid', 'the bundle is gone');
});
