import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';
import { openStage } from './stage.ts';

/** A program that prints one token after the other, and fails while a file `broken` stands beside it. */
function vault(workspace: Workspace, more = ''): void {
	workspace.write(
		'bin/vault',
		`#!/bin/sh
cd "$(dirname "$0")" || exit 9
echo "the secret is token-of-stderr" >&2
[ -e broken ] && { printf 'token-broken'; exit 3; }
echo run >>runs
${more}
printf 'token-%s\\n' "$(grep -c run runs)"
`,
	);
	chmodSync(workspace.path('bin/vault'), 0o755);
}

const runs = (workspace: Workspace): number =>
	existsSync(workspace.path('bin/runs')) ? readFileSync(workspace.path('bin/runs'), 'utf8').split('\n').length - 1 : 0;

test('a program is run again before its time is over; when it fails, the value stays until its end, then calls are refused', async t => {
	const workspace = makeWorkspace(t);
	// Slow, too: calls go on with the value before.
	vault(workspace, 'sleep 0.2');
	const stage = await openStage(t, { name: 'vault', bearer: { command: ['bin/vault'], ttl: '2s' } }, { workspace });
	const used = (): string | undefined => stage.crm.seen.at(-1)?.header('authorization');
	assert.equal((await stage.call()).status, 200);
	assert.equal(used(), 'Bearer token-1');
	await until(
		async () => (await stage.call()).status !== 200 || used() === 'Bearer token-2',
		'the second token is in use',
	);
	assert.equal(used(), 'Bearer token-2');

	workspace.write('bin/broken', '');
	await stage.sallyport.waitForLog(
		({ msg }) => msg?.startsWith('a credential could not be renewed') === true,
		'a failure',
	);
	assert.equal((await stage.call()).status, 200, 'the value before is in use');
	const gone = await stage.sallyport.waitForLog(
		({ msg }) => msg === 'a credential has no valid value: calls that need it are refused',
		'its time is over',
	);
	assert.match(String(gone['problem']), /^ended with status 3; its 30 bytes on stderr are not shown/);
	const before = stage.crm.seen.length;
	const refused = await stage.call();
	assert.equal(refused.status, 403);
	assert.equal(refused.json()['cause'], 'no_credential');
	assert.equal(stage.crm.seen.length, before);
	assert.match(await stage.sallyport.metrics(), /sallyport_credential_valid\{upstream="crm",credential="vault"\} 0/);

	rmSync(workspace.path('bin/broken'));
	await until(async () => (await stage.call()).status === 200, 'it goes on by itself');
	assert.match(await stage.sallyport.metrics(), /sallyport_credential_valid\{upstream="crm",credential="vault"\} 1/);
	assert.doesNotMatch(stage.sallyport.stderr() + JSON.stringify(stage.sallyport.records()), /token-/);
	assert.ok(runs(workspace) >= 2);
});
