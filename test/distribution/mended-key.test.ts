import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { signBundle } from '../../src/policy/sign.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { bundleOf, startBundleServer } from './server.ts';
import { fromServer, openDistribution } from './support.ts';

test('a bundle that was refused keeps its own reason, and is taken when the key is mended and a reload asked for', async t => {
	const workspace = makeWorkspace(t);
	const server = await startBundleServer(t, workspace);
	const signer = generateKeyPairSync('ec', { namedCurve: 'P-256' });
	const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
	const publish = (publicKey: typeof signer.publicKey): string =>
		workspace.write('key.pub', publicKey.export({ type: 'spki', format: 'pem' }));
	publish(other.publicKey);
	const key = signer.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
	const archive = await signBundle(await bundleOf(workspace, 'allow := true', 'good'), { key });
	server.serve(archive);
	const stage = await openDistribution(t, { workspace, config: fromServer(server, { verify: { key: 'key.pub' } }) });
	const refused = /signature is not good/;
	const says = (words: RegExp) => stage.download(({ problem = '' }) => words.test(problem), String(words));
	await says(refused);
	server.misbehave((_, response) => void response.writeHead(503).end());
	await says(/503/);
	server.serve(archive);
	await says(refused);
	assert.match((await stage.reload())[0] ?? '', refused);
	assert.equal(await stage.outcome(), 'policy_missing');

	publish(signer.publicKey);
	assert.deepEqual(await stage.reload(), []);
	assert.equal(await stage.outcome(), '200');
});
