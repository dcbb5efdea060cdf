import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { injectionShape } from '../../src/cli/webhook/injection.ts';
import { dataOf, find, type Manifest, rendered, toolFor } from '../support/chart.ts';
import { mountVolume } from '../support/mounted.ts';
import { AGENT_USER, handOver, makePod, podMissing, WORLD } from '../support/pod.ts';
import { policyOf, SALLYPORT, startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';

/** The chart's own user, and what the pod's fields would say. */
const USER = 17_400;
const AGENT = 'spiffe://example.org/agents/agents/researcher';

/** Compiles a policy that allows what it says. */
function bundleOf(workspace: Workspace, name: string, rule: string): Buffer {
	for (const [file, rego] of Object.entries(policyOf(rule))) workspace.write(`${name}/${file}`, rego);
	const path = workspace.path(`${name}.tar.gz`);
	execFileSync(SALLYPORT, ['policy', 'build', workspace.path(name), '-o', path]);
	return execFileSync('cat', [path]);
}

/** The containers' folders are in the workspace here, and writable like an emptyDir. */
function placed(workspace: Workspace, text: string): string {
	return text
		.replaceAll('/etc/sallyport-policy', workspace.path('policy'))
		.replaceAll('/var/lib/sallyport', workspace.path('state'))
		.replaceAll('/run/sallyport/', workspace.path('run/'))
		.replaceAll('/var/run/secrets/spiffe.io', workspace.path('svid'));
}

const values = (upstreams: object): Record<string, unknown> => ({
	placement: 'sidecar',
	identity: { source: 'cert-manager-csi' },
	webhook: { enabled: true, issuer: { name: 'x' }, certificates: 'cert-manager' },
	egress: { dns: 'none' },
	config: { upstreams, limits: { peek: '1s' } },
});

const CRM = { crm: { address: `${WORLD.inside}:8000`, hosts: ['crm.internal'], protocol: 'http' } };

async function stage(t: TestContext, helm: string) {
	const workspace = makeWorkspace(t);
	const pod = await makePod(t, workspace, { 'api.test-public.com': [WORLD.v4], 'crm.internal': [WORLD.inside] });
	const manifests = rendered(helm, values({}));
	const configOf = (list: readonly Manifest[]): string =>
		placed(workspace, dataOf(find(list, 'ConfigMap', '-config'), 'sallyport.yaml'));
	mountVolume(workspace.path('config'), { 'sallyport.yaml': configOf(manifests) }, 1);
	mountVolume(
		workspace.path('policy'),
		{ 'policy.tar.gz': bundleOf(workspace, 'first', 'allow if input.target.port == 80') },
		1,
	);
	mountVolume(
		workspace.path('svid'),
		{
			'tls.crt': execFileSync('cat', [workspace.path('certs/sallyport.pem')]),
			'tls.key': execFileSync('cat', [workspace.path('certs/sallyport.key')]),
			'ca.crt': execFileSync('cat', [workspace.ca]),
		},
		1,
	);
	for (const name of ['state', 'run']) {
		mkdirSync(workspace.path(name));
		chmodSync(workspace.path(name), 0o777);
	}
	return { workspace, pod, manifests, configOf };
}

test('a pod with what the chart injects: the agent is captured, and its ConfigMaps reload', async t => {
	const helm = toolFor(t, 'helm');
	if (helm === undefined) return;
	const missing = podMissing();
	if (missing !== undefined) {
		t.skip(missing);
		return;
	}
	const { workspace, pod, manifests, configOf } = await stage(t, helm);
	const injection = injectionShape.parse(parse(dataOf(find(manifests, 'ConfigMap', '-webhook'), 'injection.yaml')));
	const [names, container, egress] = injection.initContainers;
	// With another folder than the one that is mounted in the cluster.
	const { command: copying = [] } = names as { readonly command?: string[] };
	mkdirSync(workspace.path('names'));
	const copied = await pod.run(0, [
		'env',
		`PATH=${process.env['PATH']}`,
		...copying.slice(0, -1),
		workspace.path('names'),
	]);
	assert.equal(copied.status, 0, copied.stderr);
	for (const name of ['hosts', 'resolv.conf'])
		assert.equal(
			readFileSync(workspace.path('names', name), 'utf8'),
			readFileSync(workspace.path('etc', name), 'utf8'),
		);
	assert.deepEqual(container?.['args'], ['run', '--config', '/etc/sallyport/sallyport.yaml', '--watch']);
	const sallyport = await startSallyport(t, workspace, {
		through: pod.through(USER),
		file: workspace.path('config/sallyport.yaml'),
		watch: true,
		config: { audit: { directory: 'state/audit' } },
		env: { SALLYPORT_AGENT: AGENT },
	});
	// Exactly the command that the init container has.
	const { command = [], args = [] } = egress as { readonly command?: string[]; readonly args?: string[] };
	const ruled = await pod.run(0, [...command, ...args]);
	assert.equal(ruled.status, 0, ruled.stderr);

	const call = async (url: string): Promise<string> =>
		(await pod.run(AGENT_USER, ['curl', '-qsS', '--max-time', '5', '-o', '/dev/null', '-w', '%{http_code}', url]))
			.stdout;
	assert.equal(await call('http://api.test-public.com/'), '200');
	assert.equal(await call('http://crm.internal:8000/'), '403');
	const record = await sallyport.waitForRecord(({ call: facts }) => facts?.['agent'] !== undefined, 'the decision');
	assert.equal(record.call?.['agent'], AGENT);
	const probed = await pod.run(AGENT_USER, ['curl', '-qsS', '--max-time', '5', 'http://127.0.0.1:17400/readyz']);
	assert.equal(probed.status, 0, probed.stderr);

	const second = bundleOf(workspace, 'second', 'allow if input.target.name == "crm"');
	mountVolume(workspace.path('policy'), { 'policy.tar.gz': second }, 2);
	await until(async () => (await call('http://api.test-public.com/')) === '403', 'the new policy is in force');
	const next = configOf(rendered(helm, values(CRM)));
	mountVolume(workspace.path('config'), { 'sallyport.yaml': next }, 2);
	handOver(workspace.path('config/..version-2'));
	await until(async () => (await call('http://crm.internal:8000/')) === '200', 'the new configuration is in force');
});
