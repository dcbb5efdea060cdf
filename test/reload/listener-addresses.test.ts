import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atDoor, curl } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { reload, statusOf } from './support.ts';

test('a listener moves to another address with its port, and stays where it was when that cannot be had', async t => {
	const workspace = makeWorkspace(t);
	const first = await startUpstream(t, { answer: (_request, response) => response.end('first') });
	const second = await startUpstream(t, { answer: (_request, response) => response.end('second') });
	const config = (upstream: string, ...addresses: string[]) => ({
		upstreams: {
			first: { address: first.address, protocol: 'http' },
			second: { address: second.address, protocol: 'http' },
		},
		listeners: addresses.map((address, at) => ({ name: `door${at}`, address, upstream })),
	});
	const sallyport = await startSallyport(t, workspace, { config: config('first', '127.0.0.1:0') });
	const port = Number(sallyport.address('door0').split(':')[1]);
	const addresses = async (): Promise<string[]> => (await statusOf(workspace)).listeners.map(({ address }) => address);
	const answer = async (): Promise<string> =>
		(await curl([...atDoor(workspace, workspace.agent('a')), `https://localhost:${port}/`])).body;

	assert.equal((await reload(workspace, config('second', `0.0.0.0:${port}`))).taken, true);
	assert.deepEqual(await addresses(), [`0.0.0.0:${port}`]);
	assert.equal(await answer(), 'second');

	// It gives way first, and comes back when the next one turns out to be taken.
	const refused = await reload(workspace, config('first', `127.0.0.1:${port}`, `127.0.0.1:${first.port}`));
	assert.equal(refused.taken, false);
	assert.match(refused.problems?.[0]?.message ?? '', /^listener door1: .*EADDRINUSE/);
	assert.deepEqual(await addresses(), [`0.0.0.0:${port}`]);
	assert.equal(await answer(), 'second');

	assert.equal((await reload(workspace, config('first', `127.0.0.1:${port}`))).taken, true);
	assert.deepEqual(await addresses(), [`127.0.0.1:${port}`]);
	assert.equal(await answer(), 'first');
});
