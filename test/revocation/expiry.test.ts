import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { until } from '../support/until.ts';
import { idOf, openStage } from './stage.ts';

test('--for: it ends by itself, with a record, and is not in the list any more', async t => {
	const { workspace, sallyport, upstream, revoke, order, control } = await openStage(t);
	const ran = await revoke(idOf('b'), '--reason', 'for long', '--for', '24h', '--json');
	const { since, until: end } = JSON.parse(ran.out).revocation;
	assert.equal(Date.parse(end) - Date.parse(since), 86_400_000);
	await order(idOf('a'), { for_seconds: 0.5 });
	const call = () =>
		curl([
			...throughProxy(workspace, sallyport.address('egress'), workspace.agent('a')),
			`http://${upstream.address}/`,
		]);
	assert.equal((await call()).json()['cause'], 'revoked');
	await until(async () => (await call()).status === 200, 'it is over');
	const record = await sallyport.waitForRecord(one => one['action'] === 'revocation_expired', 'the end');
	assert.equal((record['detail'] as { what: string }).what, idOf('a'));
	const { revocations } = (await control('GET', '/v1/revocations')).json() as { revocations: { what: string }[] };
	assert.deepEqual(
		revocations.map(({ what }) => what),
		[idOf('b')],
	);
});
