import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { openStage } from '../http/support-stage.ts';
import { curl } from '../support/curl.ts';
import { until } from '../support/until.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { knownBy, openSocketPath } from './support.ts';

test('a reload may begin to know agents by their user, and may give a user to another agent', async t => {
	const workspace = makeWorkspace(t);
	const path = openSocketPath(workspace, 'tool.sock');
	const own = String(process.getuid?.());
	const door = { name: 'door', address: `unix:${path}`, upstream: 'tool' };
	const stage = await openStage(t, {
		workspace,
		listeners: [{ ...door, authenticate: { as: 'spiffe://example.org/agents/as' } }],
	});
	const configure = async (users: unknown): Promise<void> => {
		const config = parse(readFileSync(workspace.path('sallyport.yaml'), 'utf8')) as Record<string, unknown>;
		const listeners = [{ ...door, authenticate: { unix: { users } } }];
		const before = stage.sallyport.log().length;
		workspace.write('sallyport.yaml', stringify({ ...config, listeners }));
		stage.sallyport.signal('SIGHUP');
		await until(
			() =>
				stage.sallyport
					.log()
					.slice(before)
					.some(({ msg }) => msg === 'the configuration was read again'),
			'the configuration is in force',
		);
	};
	const call = async (): Promise<string> => {
		assert.equal((await curl(['--unix-socket', path, 'http://tool/x'])).status, 200);
		return knownBy(stage.decisions().at(-1));
	};
	assert.equal(await call(), 'spiffe://example.org/agents/as as');

	await configure({ [own]: 'spiffe://example.org/agents/one' });
	assert.equal(await call(), 'spiffe://example.org/agents/one unix');

	const kept = await openWire(t, `unix:${path}`);
	kept.send('GET /x HTTP/1.1\r\nHost: tool\r\n\r\n');
	await kept.receives('200 OK');
	await configure({ [own]: 'spiffe://example.org/agents/two' });
	await kept.closed();
	assert.equal(await call(), 'spiffe://example.org/agents/two unix');
});
