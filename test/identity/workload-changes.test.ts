import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sallyport as command } from '../cli/run.ts';
import { given } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { openWire } from '../support/wire.ts';
import { stage } from './workload-stage.ts';

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
