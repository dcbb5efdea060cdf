import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { test } from 'node:test';
import { sallyport as command } from '../cli/run.ts';
import { curl, throughProxy } from '../support/curl.ts';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { following, makeSigner } from './fleet.ts';
import { idOf, openStage } from './stage.ts';

test('the list as a watched file, made by `revocations sign`; older than max_age, calls are refused and readiness says why', async t => {
	const workspace = makeWorkspace(t);
	const signer = makeSigner();
	workspace.write('fleet.pub', signer.publicKey);
	const key = workspace.write('fleet.key', signer.privateKey);
	const sign = async (...words: string[]): Promise<void> => {
		const ran = await command(['revocations', 'sign', '--key', key, '--out', 'next.jws', ...words], {
			cwd: workspace.directory,
		});
		assert.equal(ran.code, 0, ran.err);
		renameSync(workspace.path('next.jws'), workspace.path('list.jws'));
	};
	const { sallyport, upstream } = await openStage(t, {
		workspace,
		config: { identity: following({ file: 'list.jws', max_age: '4s' }) },
	});
	const call = async (name: string): Promise<string> => {
		const pair = workspace.agent(name);
		const answer = await curl([
			...throughProxy(workspace, sallyport.address('egress'), pair),
			`http://${upstream.address}/`,
		]);
		return answer.status === 200 ? '200' : `${answer.json()['cause']}: ${answer.json()['detail']}`;
	};
	const ready = () => curl([`http://${sallyport.health()}/readyz`]);
	const none = 'identity_invalid: there is no list of revocations yet (identity.revocations)';
	assert.equal(await call('a'), none);
	const { status, body } = await ready();
	assert.deepEqual([status, (JSON.parse(body) as { parts: { part: string }[] }).parts[0]?.part], [503, 'revocations']);

	await sign('--reason', 'stolen', '--for', '24h', idOf('b'), 'serial:0A:0B');
	await until(async () => (await call('a')) === '200', 'a list is there');
	assert.equal(await call('b'), 'revoked: by its SPIFFE ID');
	assert.equal((await ready()).status, 200);
	const shown = await command(['revocations', 'show', 'list.jws', '--verify-key', 'fleet.pub'], {
		cwd: workspace.directory,
	});
	assert.match(shown.out, /^spiffe:\/\/example\.org\/agents\/b +since \S+ +until \S+ +signer +stolen$/m);
	assert.match(shown.out, /^serial:A0B /m);

	const stale = 'identity_invalid: the list of revocations is older than identity.revocations.max_age';
	await until(async () => (await call('a')) === stale, 'it grows old');
	assert.equal(await call('b'), 'revoked: by its SPIFFE ID', 'what it revoked stays so');
	assert.match((await ready()).body, /older than identity\.revocations\.max_age/);
	const told = await command(['status'], { cwd: workspace.directory });
	assert.match(told.out, /! the list is too old/);
	const refusal = await sallyport.waitForRecord(
		({ type, cause }) => type === 'decision' && cause === 'identity_invalid',
		'the refusal',
	);
	assert.equal(`identity_invalid: ${refusal['detail']}`, none);

	await sign();
	await until(async () => (await call('b')) === '200', 'a new list, on which nobody is');
});
