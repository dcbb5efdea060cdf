import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atDoor, curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a call whose target has two readings, or would hide what is inspected, goes nowhere', async t => {
	const workspace = makeWorkspace(t);
	const plain = await startUpstream(t);
	const secure = await startUpstream(t, { certificate: workspace.server('secure') });
	const sallyport = await startSallyport(t, workspace, {
		config: {
			listeners: [
				{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
				{ name: 'door', address: '127.0.0.1:0', upstream: 'plain' },
			],
			upstreams: {
				plain: { address: plain.address, hosts: ['plain.internal'], protocol: 'http' },
				secure: {
					address: secure.address,
					hosts: ['localhost'],
					protocol: 'http',
					tls: { trust_bundle: 'certs/ca.pem' },
				},
				rows: { address: plain.address, hosts: ['rows.internal'], protocol: 'postgres' },
			},
		},
	});
	const egress = sallyport.address('egress');
	const agent = workspace.agent('a');
	const proxy = throughProxy(workspace, egress, agent);

	const wrong: Readonly<Record<string, string>> = {
		'http:// to an upstream with tls': `http://localhost:${secure.port}/`,
		'http to another protocol': `http://rows.internal:${plain.port}/`,
	};
	for (const [name, url] of Object.entries(wrong)) {
		const call = await curl([...proxy, url]);
		assert.equal(call.status, 403, name);
		assert.equal(call.json()['cause'], 'target_mismatch', name);
	}

	for (const host of ['plain.internal', 'rows.internal']) {
		const wire = await openWire(t, egress, { agent });
		const authority = `${host}:${plain.port}`;
		wire.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
		assert.match(await wire.receives('\r\n\r\n'), /^HTTP\/1\.1 403 Forbidden tunnel_to_inspected /, host);
	}
	assert.equal(plain.connections() + secure.connections(), 0);

	// A door goes to its upstream whatever Host says, and says the upstream's own.
	const call = await curl([
		...atDoor(workspace, agent),
		'-H',
		'Host: elsewhere',
		`https://${sallyport.address('door')}/x`,
	]);
	assert.equal(call.status, 200, call.body);
	assert.equal(plain.seen[0]?.header('host'), `plain.internal:${plain.port}`);
	const causes = sallyport
		.records()
		.flatMap(record => (record.type === 'decision' && record.cause !== undefined ? [record.cause] : []));
	assert.deepEqual(causes, ['target_mismatch', 'target_mismatch', 'tunnel_to_inspected', 'tunnel_to_inspected']);
});
