import assert from 'node:assert/strict';
import { test } from 'node:test';
import { given } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { stage } from './workload-stage.ts';

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
