import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSallyport } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { reload, statusOf } from './support.ts';

test('sallyport_observe is 1 while anything is only observed, and follows reloads as the status does', async t => {
	const workspace = makeWorkspace(t);
	const config = (mode: string, upstream?: string) => ({
		policy: { files: ['policies'], mode },
		upstreams: {
			crm: { address: '127.0.0.1:9', protocol: 'http', ...(upstream === undefined ? {} : { mode: upstream }) },
		},
	});
	const sallyport = await startSallyport(t, workspace, { config: config('enforce', 'observe') });
	const shown = async (): Promise<string | undefined> =>
		/^sallyport_observe (\d)$/m.exec(await sallyport.metrics())?.[1];
	assert.equal(await shown(), '1', "an upstream's own mode counts");
	for (const [mode, upstream, value] of [
		['enforce', undefined, '0'],
		['observe', undefined, '1'],
		['observe', 'enforce', '1'],
		['enforce', 'enforce', '0'],
		['enforce', 'observe', '1'],
	] as const) {
		assert.equal((await reload(workspace, config(mode, upstream))).taken, true);
		assert.equal(await shown(), value, `${mode}, upstream ${upstream}`);
		assert.equal((await statusOf(workspace)).policy.mode, mode);
	}
});
