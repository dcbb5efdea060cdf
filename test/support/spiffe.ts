import { createPublicKey, type KeyObject } from 'node:crypto';
import { parseSpiffeId } from '../../src/formats/spiffe-id.ts';
import { LOOPBACK_NAMES, mintCa, mintSvid } from '../../src/identity/dev-ca.ts';
import type { Minted } from '../../src/identity/mint.ts';
import type { GivenSvid } from './workload-api.ts';

/** Authorities of trust domains, and what they give out. */

export const HOUR = 3_600_000;

export const authority = (trustDomain: string): Minted => mintCa(trustDomain, { now: Date.now(), lifetime: HOUR });

export interface SvidOptions {
	/** Milliseconds. */
	readonly lifetime?: number;
	readonly agent?: true;
}

/** An SVID with the names under which Sallyport is reached, or of an agent, without names. */
export function svidOf(issuer: Minted, text: string, { lifetime = HOUR, agent }: SvidOptions = {}): Minted {
	const id = parseSpiffeId(text);
	if ('broken' in id) throw new Error(`${text}: ${id.broken}`);
	return mintSvid(issuer, id, { now: Date.now(), lifetime }, agent === undefined ? LOOPBACK_NAMES : []);
}

/** Sallyport's own, as the Workload API gives it. */
export function given(issuer: Minted, id = 'spiffe://example.org/sallyport', options: SvidOptions = {}): GivenSvid {
	return { id, svid: [svidOf(issuer, id, options)], bundle: [issuer] };
}

/** A SPIFFE bundle. */
export function bundleDocument(
	authorities: readonly Minted[],
	more: {
		readonly jwt?: Readonly<Record<string, KeyObject>>;
		readonly members?: Readonly<Record<string, unknown>>;
	} = {},
): string {
	const keys = [
		...authorities.map(({ certificate, key }) => ({
			...createPublicKey(key).export({ format: 'jwk' }),
			use: 'x509-svid',
			x5c: [certificate.toString('base64')],
		})),
		...Object.entries(more.jwt ?? {}).map(([kid, key]) => ({
			...createPublicKey(key).export({ format: 'jwk' }),
			use: 'jwt-svid',
			kid,
		})),
	];
	return JSON.stringify({ keys, ...more.members });
}
