import { bundleOf, bundlesOf } from '../pki.ts';
import { chainCases } from './chain.ts';
import { encodingCases } from './encoding.ts';
import { type Case, ca, LEAF_KEY, name, ROOT } from './forge.ts';
import { idCases } from './ids.ts';
import { leafCases } from './leaf.ts';
import { strengthCases } from './strength.ts';

/** Every broken certificate, made anew for each run. */
export const brokenCases = (): Case[] => [
	...idCases(),
	...leafCases(),
	...chainCases(),
	...strengthCases(),
	...encodingCases(),
];

/** By these they are judged: the own domain, one with other CAs, one with none. */
export const BUNDLES = bundlesOf(
	bundleOf('example.org', ROOT),
	bundleOf('partner.org', ca({ subject: name('partner'), key: LEAF_KEY })),
	bundleOf('empty.org'),
);

/** The first case of each rule that can be shown in a handshake. */
export function sampleOf(cases: readonly Case[]): Case[] {
	const found = new Map<string, Case>();
	for (const one of cases) if (one.key !== undefined && !found.has(one.rule)) found.set(one.rule, one);
	return [...found.values()];
}
