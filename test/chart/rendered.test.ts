import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { problemText } from '../../src/config/loaded.ts';
import {
	CHART,
	dataOf,
	find,
	PLACEMENTS,
	POLICY,
	refusal,
	render,
	rendered,
	toolFor,
	type Values,
} from '../support/chart.ts';
import { KubernetesSchema } from '../support/kubernetes-schema.ts';
import { type Container, type PodSpec, restrictedProblems } from '../support/pod-security.ts';

/** Without capture, the listeners are the reader's own. */
const LISTENER = '{ name: egress, address: 127.0.0.1:17401, serves: http_proxy }';
const schema = new KubernetesSchema();

for (const [title, values] of Object.entries(PLACEMENTS)) {
	test(`${title}: helm lint has nothing to say`, t => {
		const helm = toolFor(t, 'helm');
		if (helm === undefined) return;
		const { status, stdout, stderr } = spawnSync(
			helm,
			['lint', CHART, '--strict', '--kube-version', '1.37.2', '--values', '-'],
			{ input: stringify({ ...POLICY, ...values }), encoding: 'utf8' },
		);
		assert.equal(status, 0, stdout + stderr);
	});

	test(`${title}: every object is one of Kubernetes, cert-manager or the Prometheus operator`, t => {
		const helm = toolFor(t, 'helm');
		if (helm === undefined) return;
		const manifests = rendered(helm, values);
		assert.notEqual(manifests.length, 0);
		for (const manifest of manifests)
			assert.deepEqual(schema.problems(manifest), [], `${manifest.kind} ${manifest.metadata.name}`);
	});

	test(`${title}: the configuration file is good`, t => {
		const helm = toolFor(t, 'helm');
		if (helm === undefined) return;
		const text = dataOf(find(rendered(helm, values), 'ConfigMap', '-config'), 'sallyport.yaml');
		const withListener = text.replace('listeners: []', `listeners: [${LISTENER}]`);
		const loaded = parseConfig(withListener, '/etc/sallyport/sallyport.yaml', {
			SALLYPORT_AGENT: 'spiffe://example.org/agents/agents/researcher',
		});
		assert.deepEqual('problems' in loaded ? loaded.problems.map(one => problemText('', one)) : [], []);
	});
}

for (const [title, kind, values] of [
	['the gateway', 'Deployment', PLACEMENTS['gateway']],
	['the webhook', 'Deployment', PLACEMENTS['sidecar by webhook']],
] as const) {
	test(`${title} runs under the restricted Pod Security Standard, without a token of the API server`, t => {
		const helm = toolFor(t, 'helm');
		if (helm === undefined || values === undefined) return;
		const { template } = find(rendered(helm, values), kind)['spec'] as { template: { spec: PodSpec } };
		assert.deepEqual(restrictedProblems(template.spec), []);
		assert.equal(template.spec.automountServiceAccountToken, false);
	});
}

test("Sallyport's container asks for what it needs, and Node's heap is half of its limit", t => {
	const helm = toolFor(t, 'helm');
	if (helm === undefined) return;
	const containerOf = (values: Values): Container => {
		const { template } = find(rendered(helm, { placement: 'gateway', ...values }), 'Deployment')['spec'] as {
			template: { spec: PodSpec };
		};
		const [container] = template.spec.containers;
		assert.ok(container !== undefined);
		return container;
	};
	const usual = containerOf({});
	assert.deepEqual(usual.resources, { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '256Mi' } });
	const heap = ({ env }: Container): string | undefined => env?.find(({ name }) => name === 'NODE_OPTIONS')?.value;
	assert.match(heap(usual) ?? '', /--max-old-space-size=128$/);
	assert.match(heap(containerOf({ resources: { limits: { memory: '1Gi' } } })) ?? '', /--max-old-space-size=512$/);
	assert.match(heap(containerOf({ resources: { limits: { memory: '1.5Gi' } } })) ?? '', /--max-old-space-size=768$/);
	assert.doesNotMatch(heap(containerOf({ resources: { limits: null } })) ?? 'max-old-space-size', /max-old-space-size/);
	const probe = usual['startupProbe'] as { periodSeconds: number; failureThreshold: number; httpGet: { path: string } };
	assert.ok(probe.periodSeconds * probe.failureThreshold > 60, 'SPIRE may take half a minute');
	assert.equal(probe.httpGet.path, '/readyz');
	assert.equal((usual['livenessProbe'] as { httpGet: { path: string } }).httpGet.path, '/livez');
});

test('what is under way ends before the pod is killed', t => {
	const helm = toolFor(t, 'helm');
	if (helm === undefined) return;
	const manifests = rendered(helm, { placement: 'gateway', terminationGracePeriodSeconds: 60 });
	assert.match(dataOf(find(manifests, 'ConfigMap', '-config'), 'sallyport.yaml'), /^drain_timeout: 48s$/m);
	const { template } = find(manifests, 'Deployment')['spec'] as {
		template: { spec: PodSpec & { terminationGracePeriodSeconds?: number } };
	};
	assert.equal(template.spec['terminationGracePeriodSeconds'], 60);
	// New connections come for as long as the Service has not forgotten the pod.
	assert.deepEqual(template.spec.containers[0]?.['lifecycle'], { preStop: { sleep: { seconds: 5 } } });
	const beside = rendered(helm, { placement: 'sidecar', terminationGracePeriodSeconds: 60 });
	assert.match(dataOf(find(beside, 'ConfigMap', '-config'), 'sallyport.yaml'), /^drain_timeout: 53s$/m);
});

test('policy that comes from a server needs no ConfigMap, and nothing mounts one', t => {
	const helm = toolFor(t, 'helm');
	if (helm === undefined) return;
	const manifests = rendered(helm, PLACEMENTS['sidecar by webhook, policy from a server'] ?? {});
	assert.deepEqual(
		manifests.filter(({ kind }) => kind === 'ConfigMap').map(({ metadata }) => metadata.name),
		['dev-sallyport-config', 'dev-sallyport-webhook'],
	);
	assert.ok(!dataOf(find(manifests, 'ConfigMap', '-webhook'), 'injection.yaml').includes('sallyport-policy'));
	const config = dataOf(find(manifests, 'ConfigMap', '-config'), 'sallyport.yaml');
	assert.match(config, /url: https:\/\/bundles\.internal/);
	assert.ok(!config.includes('policy.tar.gz\n    path'), 'it is the only bundle');
});

test('pods that match gateway.agents, and no label beside it, are held by the NetworkPolicies', t => {
	const helm = toolFor(t, 'helm');
	if (helm === undefined) return;
	const selectorsOf = (values: Values): readonly unknown[] => {
		const manifests = rendered(helm, { placement: 'gateway', ...values });
		const out = find(manifests, 'NetworkPolicy', '-agents')['spec'] as { podSelector: unknown };
		const gateway = find(manifests, 'NetworkPolicy', 'sallyport')['spec'] as {
			ingress: readonly { from?: readonly { podSelector: unknown }[] }[];
		};
		return [out.podSelector, gateway.ingress[0]?.from?.[0]?.podSelector];
	};
	const usual = { matchLabels: { 'sallyport.dev/agent': 'true' } };
	assert.deepEqual(selectorsOf({}), [usual, usual]);
	for (const agents of [
		{ matchLabels: { 'app.kubernetes.io/part-of': 'agents' } },
		{ matchExpressions: [{ key: 'agent', operator: 'Exists' }] },
	])
		assert.deepEqual(selectorsOf({ gateway: { agents } }), [agents, agents]);
});

test('agents of a gateway ask for names where the cluster answers, which values may name', t => {
	const helm = toolFor(t, 'helm');
	if (helm === undefined) return;
	const waysOf = (values: Values): unknown => {
		const manifests = rendered(helm, { placement: 'gateway', ...values });
		return (find(manifests, 'NetworkPolicy', '-agents')['spec'] as { egress: readonly unknown[] }).egress[1];
	};
	const to = [
		{
			namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
			podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
		},
	];
	const ports = (port: number) => ['UDP', 'TCP'].map(protocol => ({ protocol, port }));
	assert.deepEqual(waysOf({}), { to, ports: ports(53) });
	const dns = { to: [{ ipBlock: { cidr: '169.254.20.10/32' } }], ports: ports(5353) };
	assert.deepEqual(waysOf({ gateway: { dns } }), dns);
});

test('policy from servers needs no bundle of the chart, and one of the chart may stand beside it', t => {
	const helm = toolFor(t, 'helm');
	if (helm === undefined) return;
	const config = { policy: { bundles: [{ name: 'platform', url: 'https://bundles.internal/platform.tar.gz' }] } };
	for (const [own, volumes] of [
		[{}, 0],
		[POLICY, 1],
	] as const) {
		const manifests = render(helm, { placement: 'gateway', config, ...own });
		const { template } = find(manifests, 'Deployment')['spec'] as { template: { spec: PodSpec } };
		const policies = (list: readonly { name: string }[] = []): number =>
			list.filter(({ name }) => name === 'sallyport-policy').length;
		assert.equal(policies(template.spec.volumes), volumes);
		assert.equal(policies(template.spec.containers[0]?.volumeMounts), volumes);
		assert.equal(manifests.filter(({ metadata: { name } }) => name.endsWith('-policy')).length, volumes);
		const text = dataOf(find(manifests, 'ConfigMap', '-config'), 'sallyport.yaml');
		const loaded = parseConfig(text, '/etc/sallyport/sallyport.yaml', {});
		assert.deepEqual('problems' in loaded ? loaded.problems : loaded.config.policy.bundles?.map(({ name }) => name), [
			'platform',
		]);
	}
});

for (const [title, values, says] of [
	['another placement', { ...POLICY, placement: 'daemonset' }, /at '\/placement': value must be one of/],
	['a value that it does not know', { ...POLICY, placment: 'gateway' }, /additional properties 'placment' not allowed/],
	['the user root', { ...POLICY, user: 0 }, /at '\/user': minimum/],
	['no policy', { placement: 'gateway' }, /without a policy every call is refused/],
	['another source of identity', { ...POLICY, identity: { source: 'vault' } }, /at '\/identity\/source'/],
	[
		'a limit in bytes',
		{ ...POLICY, placement: 'gateway', resources: { limits: { memory: '268435456' } } },
		/expected Mi or Gi/,
	],
	[
		'a limit that is no quantity',
		{ ...POLICY, placement: 'gateway', resources: { limits: { memory: 'manyMi' } } },
		/expected Mi or Gi, and got manyMi/,
	],
	...['0.0.0.0:18000', '127.0.0.1:17401', '[::1]:17401'].map(
		address =>
			[
				`a gateway whose only listener is at ${address}`,
				{ ...POLICY, placement: 'gateway', config: { listeners: [{ name: 'egress', address, serves: 'http_proxy' }] } },
				/the Service leads to gateway\.port, 17401, and no listener is reached there/,
			] as const,
	),
	[
		'certificates by nobody',
		{ ...POLICY, webhook: { enabled: true, certificates: 'vault' } },
		/at '\/webhook\/certificates'/,
	],
] as const) {
	test(`the chart refuses ${title}`, t => {
		const helm = toolFor(t, 'helm');
		if (helm === undefined) return;
		assert.match(refusal(helm, values), says);
	});
}
