import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeWorkspace } from '../support/workspace.ts';
import { bundleOf, keptIn, startBundleServer } from './server.ts';
import { again, fromServer, openDistribution } from './support.ts';

test('without its server Sallyport starts from the bundle that was kept, and says so', async t => {
	const workspace = makeWorkspace(t);
	const server = await startBundleServer(t, workspace);
	server.serve(await bundleOf(workspace, 'allow := true', 'one'));
	const config = fromServer(server);
	const stage = await openDistribution(t, { workspace, config });
	assert.equal(await stage.outcome(), '200');
	await stage.sallyport.kill();
	const { url } = server;
	await server.stop();

	const second = await again(t, workspace, stage, config);
	await second.sallyport.waitForLog(
		({ msg, level }) => level === 'warn' && /that was kept is taken/.test(msg ?? ''),
		'it says so',
	);
	assert.equal(await second.outcome(), '200');
	const kept = await second.download(({ problem }) => problem !== undefined, 'the server is away');
	assert.equal(kept.from_disk, true);
	assert.equal(kept.etag, '"1"');
	assert.match(kept.problem ?? '', /could not be fetched \(ECONNREFUSED\)/);
	const { out, code } = await second.command('status');
	assert.equal(code, 0);
	assert.ok(out.includes(`team: kept from before the start; ${url} has not confirmed it`), out);
	assert.ok(out.includes(`team: ${url}: it could not be fetched (ECONNREFUSED)`), out);
	assert.ok((await second.reload()).includes(`team: ${url}: it could not be fetched (ECONNREFUSED)`));
	assert.match(
		await second.sallyport.metrics(),
		/^sallyport_bundle_last_success_timestamp_seconds\{bundle="team"\} 0$/m,
	);
	await second.sallyport.kill();

	// What was changed on the disk is not what was kept.
	writeFileSync(join(keptIn(workspace), 'team.tar.gz'), await bundleOf(workspace, 'allow := true', 'forged'));
	const third = await again(t, workspace, stage, config);
	assert.equal(await third.outcome(), 'policy_missing');
	assert.equal((await third.policy()).revision, undefined);
	await third.download(({ problem, revision }) => problem !== undefined && revision === undefined, 'nothing is held');
	assert.ok(
		(await third.policy()).problems?.some(({ message }) => /bundle team is not there yet: it could not/.test(message)),
	);
});

test('with `persist: false` nothing is kept, and nothing decided without the server', async t => {
	const workspace = makeWorkspace(t);
	const server = await startBundleServer(t, workspace);
	server.serve(await bundleOf(workspace, 'allow := true', 'one'));
	const config = fromServer(server, { persist: false });
	const stage = await openDistribution(t, { workspace, config });
	assert.equal(await stage.outcome(), '200');
	await stage.sallyport.kill();
	await server.stop();
	const second = await again(t, workspace, stage, config);
	assert.equal(await second.outcome(), 'policy_missing');
});
