import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openAudit } from '../../src/audit/audit.ts';
import { readCheckpoint } from '../../src/audit/checkpoint.ts';
import { readTrust } from '../../src/audit/trust.ts';
import { verifyDirectory } from '../../src/audit/verify.ts';
import { configOf, decision, depsOf, type Held, linesOf, opened, recorded, START, temporary } from './fixture.ts';
import { ecKey, signer } from './keys.ts';

test('checkpoints come at their time, only if something was recorded, and name what is open', async t => {
	const directory = await temporary(t);
	const held: Held = { now: START };
	const audit = await opened(t, configOf(directory), depsOf({ signer: signer() }, held));
	const count = async (): Promise<number> =>
		(await linesOf(directory)).filter(line => line.startsWith('{"type":"checkpoint"')).length;
	await recorded(audit, decision('a'));
	held.now += 59_000;
	await audit.maintain();
	assert.equal(await count(), 0);
	held.now += 1000;
	await audit.maintain();
	assert.equal(await count(), 1);
	held.now += 600_000;
	await audit.maintain();
	assert.equal(await count(), 1);
	const read = readCheckpoint(Buffer.from((await linesOf(directory)).at(-1) ?? ''));
	assert.equal(read?.signature, 'valid');
	assert.deepEqual(read?.open, ['a']);
	assert.equal(read?.seq, 2);
	audit.outcome({ decisionId: 'a', cause: 'completed', durationMs: 1 });
	held.now += 60_000;
	await audit.maintain();
	assert.equal(await count(), 2);
	assert.deepEqual(audit.status().checkpoint, { seq: 5, time: held.now });
});

const KEYS = {
	'P-256': () => ecKey(),
	'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
	Ed25519: () => generateKeyPairSync('ed25519').privateKey,
	RSA: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
};

for (const [name, make] of Object.entries(KEYS)) {
	test(`audit.key may be ${name}; verify checks that it was this key`, async t => {
		const directory = await temporary(t);
		const key = make();
		const path = join(directory, 'audit.key');
		await writeFile(path, key.export({ type: 'pkcs8', format: 'pem' }));
		const inner = join(directory, 'chain');
		const audit = await openAudit(configOf(inner, { key: path }), depsOf({ signer: signer() }));
		await recorded(audit, decision('a'));
		await audit.close();
		const mine = join(directory, 'mine.pem');
		const other = join(directory, 'other.pem');
		await writeFile(mine, createPublicKey(key).export({ type: 'spki', format: 'pem' }));
		await writeFile(other, createPublicKey(ecKey()).export({ type: 'spki', format: 'pem' }));
		const good = await verifyDirectory(inner, { trust: await readTrust([], [mine]) });
		assert.equal(good.fault, undefined);
		assert.match(good.signed?.owner ?? '', /^key [0-9a-f]{64}$/);
		const bad = await verifyDirectory(inner, { trust: await readTrust([], [other]) });
		assert.match(bad.fault?.problem ?? '', /not trusted/);
	});
}

test('a key that cannot sign is refused at the start', async t => {
	const directory = await temporary(t);
	const path = join(directory, 'audit.key');
	await writeFile(path, generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
	await assert.rejects(openAudit(configOf(directory, { key: path }), depsOf()), /must be an EC, RSA or Ed25519 key/);
});

test('without a key checkpoints are unsigned and say so; a key that rotates signs from then on', async t => {
	const directory = await temporary(t);
	let current: ReturnType<ReturnType<typeof signer>> | undefined;
	const audit = await openAudit(configOf(directory), depsOf({ signer: () => current }));
	const keyIds: (string | undefined)[] = [];
	for (const key of [undefined, ecKey(), ecKey()]) {
		current = key === undefined ? undefined : { key };
		await recorded(audit, decision('a'));
		audit.rotate();
		keyIds.push(readCheckpoint(Buffer.from((await linesOf(directory)).at(-1) ?? ''))?.keyId);
	}
	await audit.close();
	assert.equal(keyIds[0], undefined);
	assert.notEqual(keyIds[1], undefined);
	assert.notEqual(keyIds[1], keyIds[2]);
	const result = await verifyDirectory(directory);
	assert.equal(result.fault, undefined);
	assert.equal(result.signed?.keyId, keyIds[2]);
});
