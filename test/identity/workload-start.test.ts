import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sallyport as command } from '../cli/run.ts';
import { curl } from '../support/curl.ts';
import { given } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { stage } from './workload-stage.ts';

const TOKENS = {
	listeners: [
		{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
		{
			name: 'tokens',
			address: '127.0.0.1:0',
			serves: 'http_proxy',
			authenticate: { token: { directory: 'tokens', agents: ['spiffe://example.org/agents/a'] } },
		},
	],
};

test('it starts without an identity, says so, and lets nobody finish a handshake; it serves once one is issued', async t => {
	const { workspace, api, sallyport, upstream, call, missing } = await stage(t, () => {}, { sections: TOKENS });
	await until(async () => /issues it no identity/.test(await missing()), '/readyz names the reason');
	assert.equal(await call(), 0);
	const record = await sallyport.waitForRecord(
		({ type, listener }) => type === 'session' && listener === 'egress',
		'the handshake that was refused',
	);
	assert.equal(record.cause, 'identity_missing');
	assert.equal(record['detail'], 'Sallyport has no SVID: the Workload API issues it no identity');
	assert.match(await sallyport.metrics(), /^sallyport_svid_not_after_timestamp_seconds 0$/m);

	// Who needs no certificate of Sallyport's is served.
	const token = readFileSync(workspace.path('tokens/a/token'), 'utf8');
	const byToken = await curl([
		'--proxy',
		`http://a:${token}@${sallyport.address('tokens')}`,
		`http://crm.internal:${upstream.port}/`,
	]);
	assert.equal(byToken.status, 200, byToken.body);

	const shown = await command(['status'], { cwd: workspace.directory });
	assert.equal(shown.code, 1);
	assert.match(shown.out, /^not ready /m);
	assert.match(shown.out, /^identity {2}none: no handshake is served$/m);
	assert.match(shown.out, /from the Workload API at unix:\/\/\S+api\.sock, not connected since \d{4}-/);
	assert.match(shown.out, /! the Workload API: no identity issued/);

	api.give({ svids: [given(workspace.authority)] });
	await until(async () => (await missing()) === '', 'it is ready');
	assert.equal(await call(), 200);
	const taken = await sallyport.waitForRecord(
		({ type, action, detail }) =>
			type === 'control' && action === 'identity' && JSON.stringify(detail).includes('spiffe://example.org/sallyport'),
		'the identity that is in force',
	);
	assert.match(String(taken['instance']), /\/example\.org$/);
	assert.match(
		await sallyport.metrics(),
		/^sallyport_svid_not_after_timestamp_seconds 1\.\d+e\+9$|^sallyport_svid_not_after_timestamp_seconds 1\d{9}/m,
	);
	const later = await command(['status'], { cwd: workspace.directory });
	assert.equal(later.code, 0);
	assert.match(later.out, /^identity {2}spiffe:\/\/example\.org\/sallyport$/m);
	assert.match(later.out, /api\.sock, connected since /);
	assert.match(later.out, /^ +example\.org {2}1 CA {2}[0-9a-f]{12} {2}workload_api unix:/m);
	assert.doesNotMatch(sallyport.stderr(), /PRIVATE KEY/);
	for (const line of sallyport.stderr().split('\n').slice(0, -1))
		assert.doesNotThrow(() => void JSON.parse(line), line);
});

test('the control address opens with the first SVID', async t => {
	const { workspace, api, sallyport, missing } = await stage(t, () => {}, {
		sections: {
			admin: {
				health: { address: '127.0.0.1:0' },
				control: { address: '127.0.0.1:0', operators: ['spiffe://example.org/operators/*'] },
			},
		},
	});
	const { certificate, key } = workspace.issue('ann', 'spiffe://example.org/operators/ann');
	const ask = () =>
		command(
			['status', '--json', '--address', sallyport.address('admin.control')].concat(
				['--cert', certificate, '--key', key],
				['--ca', workspace.ca],
			),
		);
	await until(async () => /issues it no identity/.test(await missing()), '/readyz names the reason');
	assert.equal((await ask()).code, 1);
	const record = await sallyport.waitForRecord(
		({ listener }) => listener === 'admin.control',
		'the handshake that was refused',
	);
	assert.deepEqual(
		[record.cause, record['detail']],
		['identity_missing', 'Sallyport has no SVID: the Workload API issues it no identity'],
	);
	api.give({ svids: [given(workspace.authority)] });
	await until(async () => (await missing()) === '', 'it is ready');
	const answer = await ask();
	assert.equal(answer.code, 0, answer.err);
	const { identity } = JSON.parse(answer.out) as { identity: { source: { kind: string }; trust_bundles: object[] } };
	assert.deepEqual([identity.source.kind, identity.trust_bundles.length], ['workload_api', 1]);
});
