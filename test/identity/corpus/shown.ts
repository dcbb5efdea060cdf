import { createSecureContext } from 'node:tls';
import { certificatesToPem, keyToPem } from '../../../src/identity/mint.ts';
import { brokenCases } from './cases.ts';
import type { Case } from './forge.ts';

/** Broken certificates as somebody shows them in a handshake. */

/** Whoever shows them does not judge: short keys and old hashes too. */
export const ANYTHING = 'DEFAULT:@SECLEVEL=0';

export interface Shown {
	readonly one: Case;
	/** PEM. */
	readonly cert: string;
	readonly key: string;
}

/** The first case of each rule that OpenSSL can be brought to show, and the rules of which it shows none. */
export function shownCases(): { readonly shown: readonly Shown[]; readonly unshown: readonly string[] } {
	const shown = new Map<string, Shown>();
	const rules = new Set<string>();
	for (const one of brokenCases()) {
		rules.add(one.rule);
		if (shown.has(one.rule)) continue;
		const made = openssl(one);
		if (made !== undefined) shown.set(one.rule, made);
	}
	return { shown: [...shown.values()], unshown: [...rules].filter(rule => !shown.has(rule)) };
}

export function openssl(one: Case): Shown | undefined {
	if (one.key === undefined) return undefined;
	const cert = certificatesToPem(one.chain);
	const key = keyToPem(one.key);
	try {
		createSecureContext({ cert, key, ciphers: ANYTHING });
		return { one, cert, key };
	} catch {
		return undefined;
	}
}
