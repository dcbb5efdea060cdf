import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEcho } from '../support/echo.ts';
import { policyOf } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { openStage } from './support-stage.ts';

test('scheme and upstream agree, or the call goes nowhere', async t => {
	const workspace = makeWorkspace(t);
	const secure = await startUpstream(t, { certificate: workspace.server('secure') });
	const upgraded = await startUpstream(t, { certificate: workspace.server('upgraded') });
	const tls = { trust_bundle: 'certs/ca.pem', server_name: 'localhost' };
	const stage = await openStage(t, {
		workspace,
		upstreams: {
			secure: { address: secure.address, hosts: ['secure.test'], protocol: 'http', tls },
			upgraded: { address: upgraded.address, hosts: ['upgraded.test'], protocol: 'http', tls, upgrade: true },
			usual: { address: 'usual.test:443', protocol: 'http', tls },
			rows: { address: '127.0.0.1:5432', hosts: ['rows.test'], protocol: 'postgres' },
			opaque: { address: '127.0.0.1:9', hosts: ['opaque.test'], protocol: 'tcp' },
		},
	});
	const raw = async (target: string, host: string): Promise<string> => {
		const wire = await stage.wire();
		wire.send(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
		return wire.closed();
	};
	const wrong: readonly (readonly [target: string, host: string])[] = [
		[`http://secure.test:${secure.port}/`, `secure.test:${secure.port}`],
		// Nothing is declared at port 80: it must not go there in the clear.
		['http://usual.test/', 'usual.test'],
		['http://usual.test:443/', 'usual.test:443'],
		[`https://tool.test:${stage.tool.port}/`, `tool.test:${stage.tool.port}`],
		['http://rows.test:5432/', 'rows.test:5432'],
		['http://opaque.test:9/', 'opaque.test:9'],
	];
	for (const [target, host] of wrong)
		assert.match(await raw(target, host), /^HTTP\/1\.1 403 Forbidden target_mismatch /, target);
	assert.equal(secure.connections() + stage.tool.connections(), 0);
	assert.equal(stage.decisions().filter(({ cause }) => cause === 'target_mismatch').length, wrong.length);
	assert.match(await raw(`https://secure.test:${secure.port}/a`, `secure.test:${secure.port}`), /^HTTP\/1\.1 200 /);
	assert.match(
		await raw(`http://upgraded.test:${upgraded.port}/b`, `upgraded.test:${upgraded.port}`),
		/^HTTP\/1\.1 200 /,
	);
	assert.equal(secure.seen[0]?.header('host'), `secure.test:${secure.port}`);
	assert.equal(upgraded.seen[0]?.url, '/b');
	await stage.good('all of them');
	await stage.quiet();
});

test('CONNECT: not to what is inspected, unless the upstream says so; the tunnel carries anything, and is decided in phase connect', async t => {
	const echo = await startEcho(t);
	const stage = await openStage(t, {
		policy: policyOf('allow := true', 'allow if input.agent.path == "/agents/a"\nallow if input.target.name == "open"'),
		upstreams: {
			opaque: { address: echo.address, hosts: ['opaque.test'], protocol: 'tcp' },
			open: { address: echo.address, hosts: ['open.test'], protocol: 'http', tunnel: 'allow' },
			rows: { address: echo.address, hosts: ['rows.test'], protocol: 'postgres' },
		},
	});
	const connect = async (host: string, agent = 'a') => {
		const wire = await stage.wire({ agent });
		wire.send(`CONNECT ${host}:${echo.port} HTTP/1.1\r\nHost: ${host}:${echo.port}\r\n\r\nearly`);
		const head = await wire.receives('\r\n\r\n');
		return { wire, head };
	};
	for (const host of ['rows.test']) {
		const { head } = await connect(host);
		assert.match(head, /^HTTP\/1\.1 403 Forbidden tunnel_to_inspected /, host);
	}
	const denied = await connect('opaque.test', 'b');
	assert.match(
		denied.head,
		/^HTTP\/1\.1 403 Forbidden no_rule [0-9a-f-]{36}\r\n/,
		'the decision id stands in the reason phrase',
	);
	assert.match(denied.head, /^sallyport-decision-id: [0-9a-f-]{36}\r$/m);
	assert.equal(echo.connections(), 0);

	for (const host of ['opaque.test', 'open.test']) {
		const { wire, head } = await connect(host);
		assert.match(head, /^HTTP\/1\.1 200 Connection Established\r\n/, host);
		await wire.receives('early');
		wire.send('\x00\xff anything');
		await wire.receives('anything');
		wire.socket.end();
		await wire.closed();
	}
	const outcome = await stage.outcome(2);
	assert.equal(outcome.cause, 'completed');
	await stage.good('all of them');
	await stage.quiet();
});
