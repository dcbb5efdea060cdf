import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ask } from '../admin/fixture.ts';
import { sallyport as command } from '../cli/run.ts';
import { idOf, openStage, serialOf } from './stage.ts';

test('by the control address: the record names the SVID; an operator whose own access was ended is no operator', async t => {
	const { workspace, sallyport, order, control } = await openStage(t, {
		config: {
			admin: {
				health: { address: '127.0.0.1:0' },
				control: { socket: 'control.sock', address: '127.0.0.1:0', operators: ['spiffe://example.org/operators/*'] },
			},
		},
	});
	const ann = workspace.issue('ann', 'spiffe://example.org/operators/ann');
	const addresses = sallyport.log().filter(({ listener }) => listener === 'admin.control');
	const address = String(addresses.map(line => line['address']).find(text => String(text).startsWith('127.')));
	const by = ['--address', address, '--cert', ann.certificate, '--key', ann.key, '--ca', workspace.ca];
	const ran = await command(['revoke', idOf('a'), '--reason', 'from afar', ...by], { cwd: workspace.directory });
	assert.equal(ran.code, 0, ran.err);
	const record = sallyport.records().find(one => one['action'] === 'revoke');
	assert.equal(record?.['operator'], 'spiffe://example.org/operators/ann');
	assert.equal((record?.['detail'] as { serial: string } | undefined)?.serial, serialOf(ann));

	await order(`serial:${serialOf(ann)}`);
	const refused = await command(['revoke', '--undo', idOf('a'), ...by], { cwd: workspace.directory });
	assert.equal(refused.code, 1);
	assert.match(refused.err, /revoked.* by the serial of its certificate/);
	const listed = (await control('GET', '/v1/revocations')).json() as { revocations: { what: string; from: string }[] };
	assert.deepEqual(
		listed.revocations.map(({ what, from }) => [what, from]),
		[
			[idOf('a'), 'operator'],
			[`serial:${serialOf(ann).replace(/^0+/, '')}`, 'operator'],
		],
	);
	await sallyport.waitForRecord(
		one => one.type === 'session' && one.cause === 'revoked' && one['listener'] === 'admin.control',
		'the refusal',
	);
	const port = address.split(':').at(-1);
	const read = (path: string): Buffer => readFileSync(path);
	const answer = await ask({
		host: 'localhost',
		port: Number(port),
		path: '/v1/revocations',
		ca: read(workspace.ca),
		cert: read(ann.certificate),
		key: read(ann.key),
	});
	assert.equal(answer.status, 403);
	assert.equal(answer.json()['cause'], 'revoked');
});
