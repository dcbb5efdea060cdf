import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compile } from '../src/policy/compile.ts';
import { findOpa } from '../src/policy/opa.ts';
import { AGENT_PATH } from './certificates.ts';

/** The policy of the bench: grants as data, looked up and never scanned, so that their number costs nothing. */
export const GRANTS_REGO = `package sallyport.request

allow if data.grants[input.agent.path][input.target.name][input.call.effect]
`;

/** Upstreams of one agent; each is granted for reading and for writing. */
const TARGETS = ['crm', 'orders', 'search', 'tickets', 'wiki'];
const PER_AGENT = TARGETS.length * 2;

/** `count` grants as the policy's data.json: ten to an agent, the load's agent in the middle of the others. */
export function grantsData(count: number): string {
	const grants: Record<string, Record<string, Record<string, true>>> = {};
	const agents = Math.max(1, Math.ceil(count / PER_AGENT));
	for (let agent = 0; agent < agents; agent++) {
		const path = agent === agents >> 1 ? AGENT_PATH : agentPath(agent);
		const targets: Record<string, Record<string, true>> = {};
		for (const target of TARGETS) targets[target] = { read: true, write: true };
		grants[path] = targets;
	}
	return JSON.stringify({ grants });
}

/** Path of one of the others' agents. */
export const agentPath = (agent: number): string => `/agents/agent-${String(agent).padStart(6, '0')}`;

/** The policy as Rego and data, in a new folder. */
export async function writeGrants(folder: string, count: number): Promise<void> {
	await mkdir(folder);
	await writeFile(join(folder, 'grants.rego'), GRANTS_REGO);
	await writeFile(join(folder, 'data.json'), grantsData(count));
}

/** The policy as a compiled bundle; answers the bytes of its data. */
export async function buildGrants(folder: string, count: number, archive: string): Promise<number> {
	await writeGrants(folder, count);
	await writeFile(archive, (await compile(await findOpa(undefined, process.env), [folder])).archive);
	return Buffer.byteLength(grantsData(count));
}
