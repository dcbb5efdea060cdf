import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { signBundle } from '../../src/policy/sign.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { bundleOf, startBundleServer } from './server.ts';
import { again, fromServer, openDistribution } from './support.ts';

test('a bundle that must be signed is taken from its signer and nobody else, from the disk too', async t => {
	const workspace = makeWorkspace(t);
	const server = await startBundleServer(t, workspace);
	const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
	const [signer, other] = [pair(), pair()];
	const keys = { signer, other };
	for (const [name, { privateKey, publicKey }] of Object.entries(keys)) {
		workspace.write(`${name}.key`, privateKey.export({ type: 'pkcs8', format: 'pem' }));
		workspace.write(`${name}.pub`, publicKey.export({ type: 'spki', format: 'pem' }));
	}
	const config = fromServer(server, {
		verify: { keys: { release: { key: 'signer.pub' } } },
		poll: { min: '60s', max: '60s' },
	});
	server.serve(await bundleOf(workspace, 'allow := true', 'unsigned'));
	const stage = await openDistribution(t, { workspace, config });
	assert.equal(await stage.outcome(), 'policy_missing');
	assert.match((await stage.reload())[0] ?? '', /the bundle is not signed, and `verify` wants it to be/);

	const plain = await bundleOf(workspace, 'allow := true', 'good');
	const make = async (name: string, id: string): Promise<Buffer> =>
		await signBundle(plain, { key: readFileSync(workspace.path(`${name}.key`), 'utf8'), id });
	server.serve(await make('other', 'release'));
	assert.match((await stage.reload())[0] ?? '', /its signature is not good/);
	server.serve(await make('signer', 'unknown'));
	assert.match((await stage.reload())[0] ?? '', /a key that `verify` does not name \(key id "unknown"\)/);
	const signing = ['--signing-key', 'signer.key', '--key-id', 'release'];
	const built = await stage.command('policy', 'build', 'sources/good', '-o', 'signed.tar.gz', ...signing);
	assert.equal(built.code, 0, built.err);
	server.serve(readFileSync(workspace.path('signed.tar.gz')));
	assert.deepEqual(await stage.reload(), []);
	assert.equal(await stage.outcome(), '200');

	// A key that was taken back judges what was kept, too.
	await stage.sallyport.kill();
	await server.stop();
	workspace.write('signer.pub', other.publicKey.export({ type: 'spki', format: 'pem' }));
	const second = await again(t, workspace, stage, config);
	assert.equal(await second.outcome(), 'policy_missing');
	await second.sallyport.waitForLog(
		({ problem }) => /that was kept is not taken: .*signature is not good/.test(String(problem)),
		'why',
	);
});
