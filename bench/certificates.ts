import { join } from 'node:path';
import { initFolder, issueInFolder } from '../src/identity/dev-folder.ts';

export const TRUST_DOMAIN = 'example.org';
/** The agent that all load comes from. */
export const AGENT_PATH = '/agents/bench';

/** Paths of PEM files. EC P-256, as `sallyport certs` makes them. */
export interface Certificates {
	readonly ca: string;
	/** The proxy's: Sallyport's SVID, which names localhost. */
	readonly server: { readonly certificate: string; readonly key: string };
	readonly agent: { readonly certificate: string; readonly key: string };
}

export async function makeCertificates(directory: string): Promise<Certificates> {
	const options = { directory, now: Date.now(), lifetime: 86_400_000, force: true };
	const made = await initFolder(TRUST_DOMAIN, options);
	if ('mistake' in made) throw new Error(made.mistake);
	const agent = await issueInFolder(`spiffe://${TRUST_DOMAIN}${AGENT_PATH}`, options);
	if ('mistake' in agent) throw new Error(agent.mistake);
	return { ca: join(directory, 'ca.pem'), server: made.sallyport, agent };
}
