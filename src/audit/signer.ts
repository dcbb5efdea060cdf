import { type SigningKey, signingKey } from './checkpoint.ts';

/** A certificate and its key, PEM; another `revision` whenever either changes. */
export interface Signer {
	readonly revision: string;
	readonly certificate: string;
	readonly key: string;
}

/** What signs checkpoints: the key of the certificate in force, opened once for each; nothing while there is none. */
export function signerOf(current: () => Signer | undefined): () => SigningKey | undefined {
	let made: { readonly revision: string; readonly key: SigningKey } | undefined;
	return () => {
		const signer = current();
		if (signer === undefined) return undefined;
		if (made?.revision !== signer.revision)
			made = { revision: signer.revision, key: signingKey(signer.key, signer.certificate) };
		return made.key;
	};
}
