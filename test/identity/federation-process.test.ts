import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificatesToPem, keyToPem } from '../../src/identity/mint.ts';
import { sallyport as command } from '../cli/run.ts';
import { curl, throughProxy } from '../support/curl.ts';
import { authority, given, svidOf } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { stage } from './workload-stage.ts';

test("agents of another domain come in where `agents` names it; Sallyport's own id is told of", async t => {
	const partner = authority('partner.org');
	const svid = (issuer: typeof partner, id: string) => svidOf(issuer, id, { agent: true });
	const { workspace, api, sallyport, upstream, call, missing } = await stage(
		t,
		(server, { authority: root }) => server.give({ svids: [given(root)], federated: { 'partner.org': [partner] } }),
		{
			sections: {
				listeners: [
					{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
					{
						name: 'partners',
						address: '127.0.0.1:0',
						serves: 'http_proxy',
						agents: ['spiffe://partner.org/agents/*'],
					},
				],
			},
		},
	);
	await until(async () => (await missing()) === '', 'it is ready');
	const save = (name: string, made: typeof partner) => ({
		certificate: workspace.write(`certs/${name}.pem`, certificatesToPem([made.certificate])),
		key: workspace.write(`certs/${name}.key`, keyToPem(made.key)),
	});
	const theirs = save('theirs', svid(partner, 'spiffe://partner.org/agents/a'));
	const forged = save('forged', svid(workspace.authority, 'spiffe://partner.org/agents/a'));
	const url = `http://crm.internal:${upstream.port}/`;
	const at = async (listener: string, agent: typeof theirs) => {
		const { status, body } = await curl([...throughProxy(workspace, sallyport.address(listener), agent), url]);
		return `${status} ${status === 200 ? '' : (JSON.parse(body) as { cause: string }).cause}`;
	};
	assert.equal(await at('partners', theirs), '200 ');
	assert.equal(await at('egress', theirs), '403 listener_forbidden');
	assert.equal(await at('partners', forged), '403 identity_invalid');
	assert.equal(await at('partners', workspace.agent('a')), '403 listener_forbidden');

	assert.equal(await call(save('own', svid(workspace.authority, 'spiffe://example.org/sallyport'))), 403);
	const shown = await command(['status'], { cwd: workspace.directory });
	assert.match(shown.out, /! Sallyport's own id was shown to it 1 times, last at /);
	assert.match(shown.out, /^ +partner\.org {2}1 CA /m);

	// Without their bundle nobody of the domain is anybody.
	api.give({ svids: [given(workspace.authority)] });
	await until(async () => (await at('partners', theirs)) === '403 identity_invalid', 'the bundle is gone');
});
