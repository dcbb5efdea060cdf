import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import { CHART, dataOf, find, type Manifest, PLACEMENTS, POLICY, rendered, toolFor } from '../support/chart.ts';
import { customDefinitions } from '../support/kubernetes-schema.ts';
import type { PodSpec } from '../support/pod-security.ts';
import { SALLYPORT } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';
import { AGENT_POD } from './agent-pod.ts';
import { assertFires } from './firing.ts';

const namespace = (name: string, labels: Readonly<Record<string, string>> = {}): Manifest =>
	({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }) as Manifest;

/** An address of this machine's that an endpoint may have: not loopback. */
const ownAddress = (): string | undefined =>
	Object.values(networkInterfaces())
		.flat()
		.find(one => one !== undefined && !one.internal && one.family === 'IPv4')?.address;

async function applied(api: ApiServer, manifests: readonly Manifest[]): Promise<void> {
	for (const manifest of manifests) {
		const { status, body } = await api.apply(manifest);
		assert.ok(status === 200 || status === 201, `${manifest.kind} ${manifest.metadata.name}: ${body}`);
	}
}

/** Runs the webhook with the certificate that the chart made, where the Service's endpoint is. */
async function serveWebhook(
	t: TestContext,
	workspace: Workspace,
	api: ApiServer,
	manifests: readonly Manifest[],
): Promise<void> {
	const secret = find(manifests, 'Secret', '-webhook');
	const file = (key: string): string => workspace.write(key, Buffer.from(dataOf(secret, key), 'base64'));
	const injection = workspace.write(
		'injection.yaml',
		dataOf(find(manifests, 'ConfigMap', '-webhook'), 'injection.yaml'),
	);
	const address = ownAddress() ?? '';
	const child = spawn(
		SALLYPORT,
		[
			...['webhook', '--address', `${address}:0`, '--injection', injection],
			...['--certificate', file('tls.crt'), '--key', file('tls.key')],
		],
		{ stdio: ['ignore', 'ignore', 'pipe'] },
	);
	t.after(() => child.kill('SIGKILL'));
	let said = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		said += text;
	});
	const port = Number(await until(() => /listening on \S+:(\d+)/.exec(said)?.[1], 'the webhook listens'));
	const { name } = find(manifests, 'Service', '-webhook').metadata;
	await applied(api, [
		{
			apiVersion: 'discovery.k8s.io/v1',
			kind: 'EndpointSlice',
			metadata: { name, namespace: 'agents', labels: { 'kubernetes.io/service-name': name } },
			addressType: 'IPv4',
			endpoints: [{ addresses: [address], conditions: { ready: true } }],
			ports: [{ name: 'webhook', port, protocol: 'TCP' }],
		} as Manifest,
	]);
}

test('a real API server takes every placement, and calls the webhook', async t => {
	const helm = toolFor(t, 'helm');
	const etcd = helm && toolFor(t, 'etcd');
	const apiServer = etcd && toolFor(t, 'kube-apiserver');
	if (helm === undefined || etcd === undefined || apiServer === undefined) return;
	if (ownAddress() === undefined) {
		t.skip('this machine has no address but loopback, and no endpoint can be there');
		return;
	}
	const workspace = makeWorkspace(t);
	const api = await startApiServer(t, workspace, { etcd, apiServer });
	await applied(api, [
		...['agents', 'more'].map(name => namespace(name)),
		namespace('restricted', { 'pod-security.kubernetes.io/enforce': 'restricted' }),
	]);
	for (const name of ['default', 'researcher'])
		await applied(api, [{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: 'agents' } }]);
	for (const definition of customDefinitions()) {
		const { group, names, versions } = definition.spec;
		await applied(api, [definition]);
		await until(
			async () => (await api.request('GET', `/apis/${group}/${versions[0]?.name}`)).body.includes(names.kind),
			`${names.kind} is served`,
		);
	}

	for (const [title, values] of Object.entries(PLACEMENTS)) {
		await t.test(`${title}: server-side apply, strictly`, async () => {
			const manifests = rendered(helm, values);
			// Nobody answers yet; and a pod must not wait for that below.
			await applied(
				api,
				manifests.filter(({ kind }) => kind !== 'MutatingWebhookConfiguration'),
			);
			for (const manifest of manifests.filter(({ kind }) => kind === 'MutatingWebhookConfiguration')) {
				await applied(api, [manifest]);
				await api.request(
					'DELETE',
					`/apis/${manifest.apiVersion}/mutatingwebhookconfigurations/${manifest.metadata.name}`,
				);
			}
		});
	}

	await t.test('one helm command installs it; an upgrade keeps the certificate of the webhook', async () => {
		await applied(api, [namespace('installed')]);
		const certificate = async (): Promise<string> => {
			const { body } = await api.request('GET', '/api/v1/namespaces/installed/secrets/one-sallyport-webhook');
			return (JSON.parse(body) as { data: Record<string, string> }).data['tls.crt'] ?? '';
		};
		const helmRuns = (...words: string[]): void => {
			execFileSync(
				helm,
				[...words, 'one', CHART, '--namespace', 'installed', '--kubeconfig', api.kubeconfig, '--values', '-'],
				{
					input: stringify({ ...POLICY, webhook: { enabled: true } }),
					stdio: ['pipe', 'ignore', 'pipe'],
					env: { HOME: workspace.directory },
				},
			);
		};
		helmRuns('install');
		const made = await certificate();
		assert.match(Buffer.from(made, 'base64').toString('utf8'), /^-----BEGIN CERTIFICATE/);
		helmRuns('upgrade');
		assert.equal(await certificate(), made);
	});

	await t.test("the gateway's pod is let into a restricted namespace, and one that sets rules is not", async () => {
		const { template } = find(rendered(helm, PLACEMENTS['gateway'] ?? {}), 'Deployment')['spec'] as {
			template: { spec: PodSpec };
		};
		const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'gateway', namespace: 'restricted' } };
		const { serviceAccountName: _, ...spec } = template.spec as PodSpec & { serviceAccountName?: string };
		await applied(api, [
			{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'restricted' } },
		]);
		const let_in = await api.create({ ...pod, spec } as Manifest);
		assert.equal(let_in.status, 201, let_in.body);
		const rules = { name: 'rules', image: 'x', securityContext: { capabilities: { add: ['NET_ADMIN'] } } };
		const refused = await api.create({
			...pod,
			metadata: { ...pod.metadata, name: 'rules' },
			spec: { ...spec, initContainers: [rules] },
		} as Manifest);
		assert.equal(refused.status, 403);
	});

	await t.test('a pod with the label gets Sallyport by the webhook; who would get around it is refused', async () => {
		const manifests = rendered(helm, PLACEMENTS['sidecar by webhook'] ?? {});
		await applied(api, manifests);
		const quiet = (await api.request('GET', '/metrics')).body;
		const waiting = await api.create({ ...AGENT_POD, metadata: { ...AGENT_POD.metadata, name: 'early' } });
		assert.equal(waiting.status, 500, 'without the webhook no agent starts');
		const promtool = toolFor(t, 'promtool');
		const broken = (await api.request('GET', '/metrics')).body;
		if (promtool !== undefined) assertFires(t, promtool, ['SallyportWebhookFails'], { texts: [quiet, broken] });
		await serveWebhook(t, workspace, api, manifests);

		const created = await until(async () => {
			const answer = await api.create(AGENT_POD);
			return answer.status === 201 && answer;
		}, 'the webhook is called');
		const { spec } = created.json() as unknown as { readonly spec: PodSpec };
		assert.deepEqual(
			spec.initContainers?.map(({ name }) => name),
			['sallyport', 'sallyport-egress', 'fetch'],
		);
		const tokens = (name: string): readonly string[] =>
			[...(spec.initContainers ?? []), ...spec.containers]
				.find(container => container.name === name)
				?.volumeMounts?.filter(({ mountPath }) => mountPath === '/var/run/secrets/kubernetes.io/serviceaccount')
				.map(mount => mount.name) ?? [];
		// The API server gives every other container the token of the service account.
		assert.deepEqual(tokens('sallyport'), ['sallyport-no-token']);
		assert.deepEqual(tokens('sallyport-egress'), ['sallyport-no-token']);
		assert.match(tokens('agent').join(), /^kube-api-access/);

		const around = { ...AGENT_POD, metadata: { ...AGENT_POD.metadata, name: 'around' } };
		const refused = await api.create({ ...around, spec: { ...AGENT_POD.spec, hostNetwork: true } } as Manifest);
		assert.equal(refused.status, 403, refused.body);
		assert.match(refused.body, /sallyport: hostNetwork/);

		const unlabelled = await api.create({ ...AGENT_POD, metadata: { name: 'other', namespace: 'agents' } });
		assert.deepEqual(
			(unlabelled.json() as unknown as { spec: PodSpec }).spec.initContainers?.map(({ name }) => name),
			['fetch'],
		);
	});
});
