import { constants, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { hashOf, readVerifyKey, SIGNATURES } from './signature.ts';
import { readTar, writeTar } from './tar.ts';

export interface SigningOptions {
	/** PEM private key, RSA or EC. */
	readonly key: string;
	/** `kid` of the signature. */
	readonly id?: string | undefined;
	readonly scope?: string | undefined;
}

/** An archive with `.signatures.json`, as `opa` verifies it too. Rejects with Error, in words, on a key that cannot sign. */
export async function signBundle(archive: Buffer, { key: pem, id, scope }: SigningOptions): Promise<Buffer> {
	let key: ReturnType<typeof createPrivateKey>;
	try {
		key = createPrivateKey(pem);
	} catch {
		throw new Error('no PEM private key');
	}
	const shown = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
	const { algorithm } = readVerifyKey(shown);
	const unpacked = await promisify(gunzip)(archive);
	const entries = readTar(unpacked, { entries: 10_000 }).filter(({ path }) => path !== SIGNATURES);
	const files = entries.map(({ path, bytes }) => {
		const hash = hashOf(path, bytes, 'sha256');
		if (hash === undefined) throw new Error(`${path} is no JSON that everybody reads in the same way`);
		return { name: path, hash: hash.toString('hex'), algorithm: 'SHA-256' };
	});
	const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
	const header = { alg: algorithm, typ: 'JWT', ...(id === undefined ? {} : { kid: id }) };
	const claims = { files, ...(id === undefined ? {} : { keyid: id }), ...(scope === undefined ? {} : { scope }) };
	const signed = `${encoded(header)}.${encoded(claims)}`;
	const signature = sign(`sha${algorithm.slice(2)}`, Buffer.from(signed), {
		key,
		...(algorithm.startsWith('ES') ? { dsaEncoding: 'ieee-p1363' } : { padding: constants.RSA_PKCS1_PADDING }),
	});
	const token = `${signed}.${signature.toString('base64url')}`;
	const bytes = Buffer.from(JSON.stringify({ signatures: [token] }));
	return await promisify(gzip)(writeTar([...entries, { path: SIGNATURES, bytes }]), { level: 9 });
}
