import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { certificatesToPem } from '../../../src/identity/mint.ts';
import { curl, throughProxy } from '../../support/curl.ts';
import { startSallyport } from '../../support/sallyport.ts';
import { until } from '../../support/until.ts';
import { makeWorkspace } from '../../support/workspace.ts';
import { AGENT, type Case, ca, chainCase, forge, name, ROOT } from './forge.ts';
import { ANYTHING, openssl, type Shown, shownCases } from './shown.ts';

/** A certificate for every rule, shown to the real process by an upstream that must have a SPIFFE ID. */

const { shown } = shownCases();

async function serve(
	t: TestContext,
	{ cert, key }: Shown,
	version: 'TLSv1.2' | 'TLSv1.3',
): Promise<{ port: number; bytes: () => number }> {
	let bytes = 0;
	const server = createServer({ cert, key, ciphers: ANYTHING, minVersion: version, maxVersion: version }, socket => {
		socket.on('error', () => {});
		socket.on('data', (chunk: Buffer) => {
			bytes += chunk.length;
			socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
		});
	});
	server.on('tlsClientError', () => {});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => server.close());
	return { port: (server.address() as AddressInfo).port, bytes: () => bytes };
}

/** Whether a client that takes everybody comes through: OpenSSL does not serve every certificate that it loads. */
const serves = (port: number): Promise<boolean> =>
	new Promise(resolve => {
		const socket = connect({ port, host: '127.0.0.1', ciphers: ANYTHING, rejectUnauthorized: false });
		socket.once('secureConnect', () => {
			resolve(true);
			socket.destroy();
		});
		socket.once('error', () => resolve(false));
	});

const issuing = ca({ issuer: ROOT, subject: name('issuing') });
const good = (...chain: Parameters<typeof chainCase>[2]): Case => chainCase('none', 'it is good', chain, /never/);
const GOOD = [good(forge({ issuer: ROOT })), good(forge({ issuer: issuing }), issuing)].flatMap(
	one => openssl(one) ?? [],
);

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
	test(`${version}: no call goes to an upstream with a broken certificate, and the outcome names the rule`, async t => {
		const workspace = makeWorkspace(t);
		const bundle = workspace.write('root.pem', certificatesToPem([ROOT.certificate]));
		const all = await Promise.all(
			[...GOOD, ...shown].map(async (one, index) => ({
				...one,
				host: `u${index}.internal`,
				...(await serve(t, one, version)),
			})),
		);
		const served = await Promise.all(all.map(({ port }) => serves(port)));
		const stages = all.filter((_, index) => served[index]);
		assert.ok(stages.length >= all.length - 3, 'too few of them can be served');
		const upstreams = stages.map(({ host, port }) => [
			host.split('.')[0],
			{
				address: `127.0.0.1:${port}`,
				hosts: [host],
				protocol: 'http',
				upgrade: true,
				tls: { spiffe_id: AGENT, trust_bundle: bundle },
			},
		]);
		const sallyport = await startSallyport(t, workspace, { config: { upstreams: Object.fromEntries(upstreams) } });
		const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('a'));
		const queue = [...stages.entries()];
		const call = async (): Promise<void> => {
			for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
				const [index, { one, host, port, bytes }] = next;
				const { status, body, error } = await curl([...proxy, `http://${host}:${port}/`]);
				const what = `${one.rule}: ${one.way}: ${status} ${body} ${error}`;
				if (index < GOOD.length) {
					assert.equal(status, 200, what);
					continue;
				}
				assert.equal(status, 502, what);
				assert.equal((JSON.parse(body) as { cause: string }).cause, 'upstream_tls', what);
				assert.equal(bytes(), 0, what);
			}
		};
		await Promise.all(Array.from({ length: 6 }, call));

		const outcomes = await until(() => {
			const found = sallyport.records().filter(({ type }) => type === 'outcome');
			return found.length === stages.length && found;
		}, 'every outcome');
		assert.equal(outcomes.filter(({ cause }) => cause === 'completed').length, GOOD.length);
		const errors = outcomes
			.filter(({ cause }) => cause === 'upstream_tls')
			.map(record => (record['error'] as { message: string }).message);
		for (const { one } of stages.slice(GOOD.length))
			assert.ok(
				errors.some(error => one.detail.test(error)),
				`${one.rule}: ${errors.join('\n')}`,
			);
	});
}

test('there is one for every rule that can be shown', () => {
	assert.ok(shown.length > 30);
	assert.equal(GOOD.length, 2);
});
