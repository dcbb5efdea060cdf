import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineHead, opensCall } from '../../src/audit/reader.ts';
import { openStage } from '../http/support-stage.ts';
import { atDoor, curl } from '../support/curl.ts';
import { readRecordLines } from '../support/records.ts';
import { makeWorkspace } from '../support/workspace.ts';

const BEHIND = 'spiffe://example.org/agents/b';

test('what comes in is judged by packages of its own, and told of the workload behind', async t => {
	const workspace = makeWorkspace(t);
	const stage = await openStage(t, {
		workspace,
		listeners: [
			{ name: 'in', address: '127.0.0.1:0', serves: 'inbound', upstream: 'tool', agent: BEHIND },
			{ name: 'door', address: '127.0.0.1:0', upstream: 'tool' },
		],
		policy: {
			'inbound.rego': [
				'package sallyport.inbound.request',
				'allow if {\n\tinput.direction == "inbound"\n\tinput.phase == "request"\n\tinput.agent.path == "/agents/a"\n\tinput.target.agent == "spiffe://example.org/agents/b"\n\tinput.target.name == "tool"\n}',
				'deny contains "no secrets" if input.http.path == "/secret"',
				'deny contains "not that word" if input.http.body.word == "bad"',
			].join('\n\n'),
			'answers.rego':
				'package sallyport.inbound.response\n\nallow := true\n\ndeny contains "a sealed answer" if input.http.headers["x-sealed"]\n',
			'outbound.rego':
				'package sallyport.request\n\nallow if {\n\tinput.direction == "outbound"\n\tnot input.target.agent\n\tinput.agent.path == "/agents/out"\n}\n',
		},
		tool: {
			answer: (request, response) => {
				request.resume();
				response.writeHead(200, request.url === '/sealed' ? { 'x-sealed': '1' } : {}).end('ok');
			},
		},
	});
	const call = (name: string, path: string, agent = 'a', ...more: string[]) =>
		curl([...atDoor(workspace, workspace.agent(agent)), ...more, `https://${stage.sallyport.address(name)}${path}`]);
	const last = () => stage.decisions().at(-1);

	const good = await call('in', '/x');
	assert.equal(good.status, 200, good.body);
	const [asked, answered] = stage.decisions();
	assert.equal(asked?.['path'], 'sallyport/inbound/request');
	assert.equal(answered?.['path'], 'sallyport/inbound/response');
	assert.equal(asked?.call?.['agent'], 'spiffe://example.org/agents/a', 'the caller');
	assert.deepEqual(asked?.call?.['target'], { name: 'tool', host: 'tool.test', port: stage.tool.port, agent: BEHIND });
	const reads = asked?.['reads'] as string[];
	assert.ok(reads.includes('target.agent') && reads.includes('http.body.word'), String(reads));
	assert.equal(stage.tool.seen.at(-1)?.header('host'), stage.host, 'the upstream of the workload names it');

	assert.equal((await call('in', '/secret')).json()['cause'], 'denied_by_rule');
	const json = ['-H', 'content-type: application/json', '--data-binary'];
	assert.equal((await call('in', '/x', 'a', ...json, '{"word":"bad"}')).json()['cause'], 'denied_by_rule');
	assert.equal((await call('in', '/x', 'a', ...json, '{"word":"good"}')).status, 200);
	assert.equal((await call('in', '/sealed')).status, 403);
	assert.equal(last()?.['path'], 'sallyport/inbound/response');

	assert.equal(
		(await call('in', '/x', 'out')).json()['cause'],
		'no_rule',
		'the rules of outbound calls say nothing here',
	);
	assert.equal((await call('door', '/x', 'out')).status, 200);
	assert.equal(last()?.['path'], 'sallyport/request');
	assert.equal('agent' in ((last()?.call?.['target'] ?? {}) as object), false);
	assert.deepEqual(last()?.['reads'], ['agent.path', 'direction', 'target.agent']);
	assert.equal((await call('door', '/x')).json()['cause'], 'no_rule', 'and those of inbound calls nothing there');

	const tunnel = await stage.wire({ listener: 'in' });
	tunnel.send('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n');
	assert.match(await tunnel.closed(), /target_mismatch/);
	const record = await stage.sallyport.waitForRecord(({ cause }) => cause === 'target_mismatch', 'the tunnel');
	assert.equal(record['path'], 'sallyport/inbound/connect');
	const [line = ''] = readRecordLines(workspace.path('var/audit')).filter(text =>
		text.includes('sallyport/inbound/request'),
	);
	const head = lineHead(Buffer.from(line));
	assert.equal(head?.phase, 'request');
	assert.ok(head !== undefined && opensCall(head), 'after a crash its outcome is known to be missing');
	await stage.quiet();
	const [outcome] = stage.sallyport.records().filter(({ type }) => type === 'outcome');
	assert.equal(outcome?.decision_id, asked?.decision_id);
});
