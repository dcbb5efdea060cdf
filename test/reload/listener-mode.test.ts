import assert from 'node:assert/strict';
import { rmSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { startEcho } from '../support/echo.ts';
import { startSallyport } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { echoes, openTunnel, reload } from './support.ts';

test("a Unix socket's mode is changed in place; where that cannot be done the configuration before stays", async t => {
	const workspace = makeWorkspace(t);
	const echo = await startEcho(t);
	const path = workspace.path('a.sock');
	const config = (mode: string, hosts: string[]) => ({
		listeners: [
			{
				name: 'own',
				address: `unix:${path}`,
				serves: 'http_proxy',
				mode,
				authenticate: { as: 'spiffe://example.org/agents/a' },
			},
		],
		upstreams: { opaque: { address: echo.address, hosts, protocol: 'tcp' } },
	});
	await startSallyport(t, workspace, { config: config('0660', ['opaque.test']) });
	const before = statSync(path);
	assert.equal(before.mode & 0o777, 0o660);
	const tunnel = await openTunnel(t, `unix:${path}`, `opaque.test:${echo.port}`);

	assert.equal((await reload(workspace, config('0600', ['opaque.test']))).taken, true);
	const after = statSync(path);
	assert.equal(after.mode & 0o777, 0o600);
	assert.equal(after.ino, before.ino, 'the socket is the same');
	await echoes(tunnel, 'still there');
	await openTunnel(t, `unix:${path}`, `opaque.test:${echo.port}`);

	rmSync(path);
	const refused = await reload(workspace, config('0640', ['another.test']));
	assert.equal(refused.taken, false);
	assert.match(refused.problems?.[0]?.message ?? '', /^listener own: ENOENT/);
	await echoes(tunnel, 'under the configuration before');
});
