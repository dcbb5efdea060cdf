import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { clientCertElement } from '../../src/formats/client-cert-field.ts';
import { forwardedHeaders } from '../../src/protocols/http/headers.ts';
import { curl } from '../support/curl.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { openStage } from './stage.ts';

const FIELD = 'x-forwarded-client-cert';
const FORGED = ['-H', 'X-Forwarded-Client-Cert: URI=forged', '-H', 'x_forwarded_client_cert: URI=forged'];

test('an upstream is told who called in x-forwarded-client-cert, if it asks for it; an incoming one goes no further', async t => {
	const workspace = makeWorkspace(t);
	const other = await startUpstream(t);
	const agent = workspace.agent('a');
	const crm = await startUpstream(t);
	const stage = await openStage(t, undefined, {
		workspace,
		crm: { forward_client_cert: true },
		config: {
			upstreams: {
				crm: { address: crm.address, hosts: ['crm.internal'], protocol: 'http', forward_client_cert: true },
				other: { address: other.address, hosts: ['other.internal'], protocol: 'http' },
			},
			listeners: [
				{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
				{
					name: 'token',
					address: '127.0.0.1:0',
					serves: 'http_proxy',
					authenticate: { token: { directory: 'tokens', agents: ['spiffe://example.org/agents/b'] } },
				},
				{
					name: 'local',
					address: `unix:${workspace.path('c.sock')}`,
					upstream: 'crm',
					authenticate: { as: 'spiffe://example.org/agents/c' },
				},
			],
		},
	});
	const told = (): string[] => {
		const { rawHeaders = [] } = crm.seen.at(-1) ?? {};
		return rawHeaders.filter((_, at, all) => at % 2 === 1 && all[at - 1]?.toLowerCase().replaceAll('_', '-') === FIELD);
	};
	const hash = new X509Certificate(readFileSync(agent.certificate)).fingerprint256.replaceAll(':', '').toLowerCase();
	const whole = `By=spiffe://example.org/sallyport;Hash=${hash};URI=spiffe://example.org/agents/a`;
	const url = `http://crm.internal:${crm.port}/`;

	assert.equal((await stage.call([...FORGED, url])).status, 200);
	assert.deepEqual(told(), [whole]);

	const token = readFileSync(workspace.path('tokens/b/token'), 'utf8').trim();
	const proxy = `http://agent:${token}@${stage.sallyport.address('token')}`;
	assert.equal((await curl(['--proxy', proxy, ...FORGED, url])).status, 200);
	assert.deepEqual(told(), ['By=spiffe://example.org/sallyport;URI=spiffe://example.org/agents/b']);

	const socket = ['--unix-socket', workspace.path('c.sock')];
	assert.equal((await curl([...socket, ...FORGED, 'http://localhost/'])).status, 200);
	assert.deepEqual(told(), ['By=spiffe://example.org/sallyport;URI=spiffe://example.org/agents/c']);

	assert.equal((await stage.call([...FORGED, `http://other.internal:${other.port}/`])).status, 200);
	assert.doesNotMatch(other.raw().toString('latin1'), /forged|forwarded.client.cert/i);
	assert.doesNotMatch(crm.raw().toString('latin1'), /forged/i);

	// A resumed session says it too.
	const [host = '', port = ''] = stage.sallyport.address('egress').split(':');
	const options = {
		host,
		port: Number(port),
		rejectUnauthorized: false,
		cert: readFileSync(agent.certificate),
		key: readFileSync(agent.key),
	};
	const ask = async (session?: Buffer): Promise<{ readonly resumed: boolean; readonly session: Buffer }> => {
		const before = crm.seen.length;
		let ticket: Buffer | undefined;
		const wire: TLSSocket = connect({ ...options, ...(session === undefined ? {} : { session }) });
		wire.on('session', found => {
			ticket = found;
		});
		wire.on('error', () => {}).resume();
		t.after(() => wire.destroy());
		wire.write(`GET ${url} HTTP/1.1\r\nHost: crm.internal:${crm.port}\r\n\r\n`);
		await until(() => crm.seen.length > before, 'the request arrives');
		const held = session ?? (await until(() => ticket, 'a ticket'));
		const resumed = wire.isSessionReused();
		wire.destroy();
		return { resumed, session: held };
	};
	const { session } = await ask();
	assert.equal((await ask(session)).resumed, true);
	assert.deepEqual(told(), [whole]);
});

test('an incoming one is taken out for targets that nobody declared, too', () => {
	const raw = ['X-Forwarded-Client-Cert', 'URI=forged', 'x_forwarded_client-cert', 'URI=forged', 'accept', '*/*'];
	assert.deepEqual(forwardedHeaders(raw, 'example.com', undefined), ['host', 'example.com', 'accept', '*/*']);
});

test('values are quoted where the grammar needs it', () => {
	assert.equal(
		clientCertElement([
			['By', 'spiffe://example.org/a'],
			['Subject', 'CN="x, y"; O=\\z'],
		]),
		'By=spiffe://example.org/a;Subject="CN=\\"x, y\\"; O=\\\\z"',
	);
});
