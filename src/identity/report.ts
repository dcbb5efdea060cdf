import type { IdentityDeps, IdentityReload } from './source.ts';

interface Log {
	info(facts: Readonly<Record<string, unknown>>, message: string): void;
	warn(facts: Readonly<Record<string, unknown>>, message: string): void;
	error(facts: Readonly<Record<string, unknown>>, message: string): void;
}

/** Writes to the log what became of a look at where the SVID comes from. */
export function logRenewal(log: Log, reload: IdentityReload): void {
	if (!reload.taken)
		log.error({ broken: reload.broken }, 'the new SVID was not taken; what was in force before still is');
	else if (reload.svid === undefined) log.warn({ reason: reload.missing }, 'there is no SVID: no handshake is served');
	else if (reload.renewed !== undefined) {
		const facts = { id: reload.svid.spiffeId.id, not_after: new Date(reload.svid.notAfter).toISOString() };
		log.info(facts, reload.renewed === 'svid' ? 'a new SVID is in force' : 'new trust bundles are in force');
	}
}

/** Writes to the log what became of a look at another domain's trust bundle. */
export function logBundle(log: Log, { trustDomain, broken }: Parameters<NonNullable<IdentityDeps['bundle']>>[0]): void {
	if (broken === undefined) log.info({ trust_domain: trustDomain }, 'the trust bundle of another domain is in force');
	else log.error({ trust_domain: trustDomain, broken }, 'the trust bundle of another domain was not taken');
}
