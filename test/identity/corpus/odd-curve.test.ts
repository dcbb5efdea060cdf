import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { BundleEndpoint } from '../../../src/identity/bundles/https-web.ts';
import { certificatesToPem, keyToPem } from '../../../src/identity/mint.ts';
import { curl, throughProxy } from '../../support/curl.ts';
import { startSallyport } from '../../support/sallyport.ts';
import { until } from '../../support/until.ts';
import { makeWorkspace } from '../../support/workspace.ts';
import { AGENT, ca, dns, forge, leafExtensions, name, ROOT, san, uri } from './forge.ts';

/**
 * A CA whose key is on a curve without a NIST name, under a CA that is trusted: by reading such a chain into objects Node
 * 24.20.0 ends by SIGSEGV. No server that Sallyport speaks to may bring it to do so.
 */

const odd = (curve: string) => {
	const key = generateKeyPairSync('ec', { namedCurve: curve }).privateKey;
	const issuer = ca({ issuer: ROOT, subject: name(curve), key });
	const leaf = forge({ issuer, extensions: leafExtensions({ san: san([uri(AGENT), dns('localhost')]) }) });
	return { cert: certificatesToPem([leaf.certificate, issuer.certificate]), key: keyToPem(leaf.key) };
};

async function serve(t: TestContext, curve: string, text: string): Promise<number> {
	const server = createServer(odd(curve), (_request, response) => void response.end(text));
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	return (server.address() as AddressInfo).port;
}

const CURVES = ['secp256k1', 'brainpoolP256r1', 'brainpoolP384r1'] as const;

test('an upstream that shows one does not end the process, whether it is known by its id or by its name', async t => {
	const workspace = makeWorkspace(t);
	const bundle = workspace.write('root.pem', certificatesToPem([ROOT.certificate]));
	const ports = await Promise.all(CURVES.map(curve => serve(t, curve, 'hello')));
	const common = { protocol: 'http', upgrade: true };
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: Object.fromEntries(
				ports.flatMap((port, index) => [
					[
						`id${index}`,
						{
							...common,
							address: `127.0.0.1:${port}`,
							hosts: [`id${index}.test`],
							tls: { spiffe_id: AGENT, trust_bundle: bundle },
						},
					],
					[
						`name${index}`,
						{
							...common,
							address: `127.0.0.1:${port}`,
							hosts: [`name${index}.test`],
							tls: { server_name: 'localhost', trust_bundle: bundle },
						},
					],
				]),
			),
		},
	});
	const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('a'));
	for (const [index, port] of ports.entries()) {
		const byId = await curl([...proxy, `http://id${index}.test:${port}/`]);
		assert.deepEqual([byId.status, byId.json()['cause']], [502, 'upstream_tls'], byId.error);
		// By name the certificate is judged by OpenSSL alone, as for any server of the Web PKI.
		const byName = await curl([...proxy, `http://name${index}.test:${port}/`]);
		assert.deepEqual([byName.status, byName.body], [200, 'hello'], byName.error);
	}
});

test('neither does a bundle endpoint', async t => {
	const roots = makeWorkspace(t).write('root.pem', certificatesToPem([ROOT.certificate]));
	const port = await serve(t, 'secp256k1', '{"keys":[]}');
	const endpoint = new BundleEndpoint(
		'partner.org',
		{ url: `https://localhost:${port}/`, roots },
		{ clock: { now: () => Date.now() }, news: () => {} },
	);
	t.after(() => endpoint.close());
	await endpoint.start();
	await until(() => endpoint.current(), 'the bundle is fetched');
});
