import { join } from 'node:path';
import type { Opa } from './opa.ts';
import { problem } from './problem.ts';
import { stageText } from './sources.ts';

/** What reaches beyond the input: other hosts, and the environment and command line of `opa`. */
const OUTSIDE: ReadonlySet<string> = new Set(['http.send', 'net.lookup_ip_addr', 'opa.runtime']);

interface Capabilities {
	readonly builtins: readonly { readonly name: string }[];
}

/**
 * Arguments by which `opa` evaluates Rego of somebody else's: it asks no other host, schemas' references included, and
 * nothing of where it runs. What calls such a function does not compile. `folder` is one of its own.
 */
export async function closedIn(opa: Opa, folder: string): Promise<readonly string[]> {
	const { status, stdout, stderr } = await opa.run(['capabilities', '--current']);
	if (status !== 0) throw problem(`\`opa capabilities\` failed: ${stderr.trim()}`);
	const capabilities = JSON.parse(stdout) as Capabilities;
	const builtins = capabilities.builtins.filter(({ name }) => !OUTSIDE.has(name));
	await stageText(folder, 'capabilities.json', JSON.stringify({ ...capabilities, builtins, allow_net: [] }));
	return ['--capabilities', join(folder, 'capabilities.json')];
}
