import { execFileSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { AGENT_USER, makePod, type Pod, podMissing, type Ran, SALLYPORT_USER, WORLD } from '../support/pod.ts';
import { policyOf, SALLYPORT, type Sallyport, startSallyport } from '../support/sallyport.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';

export const AGENT = 'spiffe://example.org/agents/researcher';
export const CAPTURE = 17406;

/** Names as the pod's /etc/hosts has them. */
export const NAMES = {
	'api.test-public.com': [WORLD.v4],
	'api6.test-public.com': [WORLD.v6],
	'other.test-public.com': [WORLD.other4],
	'other6.test-public.com': [WORLD.other6],
	'crm.internal': [WORLD.inside],
} as const;

export const POLICY = policyOf(
	`allow if startswith(input.target.host, "api")
allow if input.target.name == "crm"`,
	`allow if startswith(input.target.sni, "api")
allow if {
	input.target.host == "${WORLD.v4}"
	input.target.port in {2525, 9000}
}
allow if input.target.port == 53`,
);

export interface Stage {
	readonly workspace: Workspace;
	readonly pod: Pod;
	readonly sallyport: Sallyport;
}

/** A pod with a Sallyport in it whose agent knows nothing of proxies; undefined, and the test is skipped, where none can be made. */
export async function stageCaptured(
	t: TestContext,
	{ user = SALLYPORT_USER, rules = [] }: { readonly user?: number; readonly rules?: readonly string[] } = {},
): Promise<Stage | undefined> {
	const missing = podMissing();
	if (missing !== undefined) {
		t.skip(missing);
		return undefined;
	}
	const workspace = makeWorkspace(t);
	for (const [name, rego] of Object.entries(POLICY)) workspace.write(`policies/${name}`, rego);
	// Compiled here: what is in this user's cache Sallyport's own cannot run.
	execFileSync(SALLYPORT, ['policy', 'build', workspace.path('policies'), '-o', workspace.path('policy.tar.gz')]);
	const pod = await makePod(t, workspace, NAMES);
	const sallyport = await startSallyport(t, workspace, {
		through: pod.through(SALLYPORT_USER),
		config: {
			policy: { bundles: [{ name: 'default', path: 'policy.tar.gz' }] },
			listeners: [
				{ name: 'captured', address: `127.0.0.1:${CAPTURE}`, serves: 'captured', authenticate: { as: AGENT } },
				{ name: 'captured6', address: `[::1]:${CAPTURE}`, serves: 'captured', authenticate: { as: AGENT } },
			],
			upstreams: { crm: { address: `${WORLD.inside}:8000`, hosts: ['crm.internal'], protocol: 'http' } },
			limits: { peek: '300ms', handshake: '1s' },
			// Where the agent looks for nothing.
			admin: { control: { socket: workspace.path('control.sock') } },
		},
	});
	const { status, stderr } = await pod.rules('--uid', String(user), '--capture', String(CAPTURE), ...rules);
	if (status !== 0) throw new Error(stderr);
	return { workspace, pod, sallyport };
}

/** curl as an agent that knows of no proxy. */
export const agentCurl = ({ pod, workspace }: Pick<Stage, 'pod' | 'workspace'>, ...args: string[]): Promise<Ran> =>
	pod.run(AGENT_USER, ['curl', '-qsS', '--max-time', '10', '--cacert', workspace.ca, '-w', '\n%{http_code}', ...args]);
