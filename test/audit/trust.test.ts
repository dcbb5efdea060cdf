import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openAudit, signingKey } from '../../src/audit/audit.ts';
import { readTrust } from '../../src/audit/trust.ts';
import { verifyDirectory } from '../../src/audit/verify.ts';
import { auditCommand } from '../../src/cli/audit.ts';
import { parseSpiffeId } from '../../src/formats/spiffe-id.ts';
import { mintCa, mintSvid } from '../../src/identity/dev-ca.ts';
import { certificatesToPem, keyToPem, type Minted } from '../../src/identity/mint.ts';
import type { SpiffeId } from '../../src/model/agent.ts';
import { configOf, decision, depsOf, type Held, recorded, START, temporary } from './fixture.ts';

const SALLYPORT = 'spiffe://example.org/sallyport';
const AGENT = 'spiffe://example.org/agents/researcher';
const HOUR = { now: START, lifetime: 3_600_000 };

function idOf(text: string): SpiffeId {
	const id = parseSpiffeId(text);
	if (!('trustDomain' in id)) throw new Error(`${text} is no SPIFFE ID`);
	return id;
}

const pem = (...chain: Minted[]): string => certificatesToPem(chain.map(({ certificate }) => certificate));

/** A chain of two checkpoints, an hour apart, by the key of an SVID under an intermediate CA. */
async function signedBy(directory: string, svid: Minted, ...intermediates: Minted[]): Promise<void> {
	const key = signingKey(keyToPem(svid.key), pem(svid, ...intermediates));
	const held: Held = { now: START };
	const audit = await openAudit(configOf(directory), depsOf({ signer: () => key }, held));
	await recorded(audit, decision('a'));
	await audit.close();
}

test('the certificate of the signing key is judged by the trust bundle, at the time of the checkpoint', async t => {
	const folder = await temporary(t);
	const root = mintCa('example.org', HOUR);
	const intermediate = mintCa('example.org', HOUR, root);
	const other = mintCa('example.org', HOUR);
	const rootFile = join(folder, 'root.pem');
	const otherFile = join(folder, 'other.pem');
	await writeFile(rootFile, pem(root));
	await writeFile(otherFile, pem(other));
	const mine = join(folder, 'mine');
	await signedBy(mine, mintSvid(intermediate, idOf(SALLYPORT), HOUR), intermediate);

	const good = await verifyDirectory(mine, { trust: await readTrust([rootFile], []) });
	assert.equal(good.fault, undefined);
	assert.equal(good.signed?.owner, SALLYPORT);
	const named = await verifyDirectory(mine, { trust: await readTrust([rootFile], [], SALLYPORT) });
	assert.equal(named.fault, undefined);
	const wrong = await verifyDirectory(mine, { trust: await readTrust([otherFile], []) });
	assert.match(wrong.fault?.problem ?? '', /not trusted/);

	// Any agent of the trust domain has a certificate of the same CA: --signer says whose it must be.
	const forged = join(folder, 'forged');
	await signedBy(forged, mintSvid(intermediate, idOf(AGENT), HOUR), intermediate);
	assert.equal((await verifyDirectory(forged, { trust: await readTrust([rootFile], []) })).signed?.owner, AGENT);
	const caught = await verifyDirectory(forged, { trust: await readTrust([rootFile], [], SALLYPORT) });
	assert.match(caught.fault?.problem ?? '', /not trusted/);

	// No certificate; one that does not belong to the key; one that was not valid yet.
	const later = { now: START + 86_400_000, lifetime: 3_600_000 };
	const early = join(folder, 'early');
	await signedBy(early, mintSvid(root, idOf(SALLYPORT), later));
	assert.match(
		(await verifyDirectory(early, { trust: await readTrust([rootFile], []) })).fault?.problem ?? '',
		/not trusted/,
	);
	const bare = join(folder, 'bare');
	await signedBy(bare, {
		...mintSvid(root, idOf(SALLYPORT), HOUR),
		certificate: mintSvid(root, idOf(SALLYPORT), HOUR).certificate,
	});
	assert.match((await verifyDirectory(bare)).fault?.problem ?? '', /signature/);
	await assert.rejects(readTrust([join(mine, 'salt')], []), /holds no PEM certificate/);
});

test('audit verify --trust-bundle --signer says whose signature it was', async t => {
	const folder = await temporary(t);
	const root = mintCa('example.org', HOUR);
	const bundle = join(folder, 'ca.pem');
	await writeFile(bundle, pem(root));
	const directory = join(folder, 'audit');
	const svid = mintSvid(root, idOf(SALLYPORT), HOUR);
	assert.equal(createPrivateKey(keyToPem(svid.key)).asymmetricKeyType, 'ec');
	await signedBy(directory, svid);
	let text = '';
	const output = {
		terminal: false,
		colour: false,
		error: () => {},
		write: async (part: string) => {
			text += part;
		},
	};
	const args = ['verify', '--directory', directory, '--trust-bundle', bundle, '--signer', SALLYPORT];
	await auditCommand(output).parseAsync(args, { from: 'user' });
	assert.match(text, /signed up to record 2 at 2026-03-03T10:00:00.000Z \(spiffe:\/\/example.org\/sallyport\)/);
});
