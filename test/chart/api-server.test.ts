import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dataOf, find, type Manifest, PLACEMENTS, rendered, toolFor } from '../support/chart.ts';
import { customDefinitions } from '../support/kubernetes-schema.ts';
import type { PodSpec } from '../support/pod-security.ts';
import { until } from '../support/until.ts';
import { AGENT_POD } from './agent-pod.ts';
import { applied, namespace, openCluster, serveWebhook } from './cluster.ts';
import { assertFires } from './firing.ts';

test('a real API server takes every placement, and calls the webhook', async t => {
	const cluster = await openCluster(t);
	if (cluster === undefined) return;
	const { helm, workspace, api } = cluster;
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
		const secret = find(manifests, 'Secret', '-webhook');
		const [certificate = '', key = ''] = ['tls.crt', 'tls.key'].map(name =>
			workspace.write(name, Buffer.from(dataOf(secret, name), 'base64')),
		);
		const injection = dataOf(find(manifests, 'ConfigMap', '-webhook'), 'injection.yaml');
		await serveWebhook(t, api, {
			injection: workspace.write('injection.yaml', injection),
			certificate,
			key,
			service: find(manifests, 'Service', '-webhook').metadata,
		});

		const created = await until(async () => {
			const answer = await api.create(AGENT_POD);
			return answer.status === 201 && answer;
		}, 'the webhook is called');
		const { spec } = created.json() as unknown as { readonly spec: PodSpec };
		assert.deepEqual(
			spec.initContainers?.map(({ name }) => name),
			['sallyport-names', 'sallyport', 'sallyport-egress', 'fetch'],
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
