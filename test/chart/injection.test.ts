import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { inject, type Operation } from '../../src/cli/webhook/inject.ts';
import { type Injection, injectionShape, podShape } from '../../src/cli/webhook/injection.ts';
import { dataOf, find, type Manifest, PLACEMENTS, rendered, toolFor, type Values } from '../support/chart.ts';
import { patched } from '../support/json-patch.ts';
import { KubernetesSchema } from '../support/kubernetes-schema.ts';
import { type PodSpec, restrictedProblems } from '../support/pod-security.ts';
import { AGENT_POD } from './agent-pod.ts';
import { renderParent } from './parent.ts';

const schema = new KubernetesSchema();

function injectionOf(helm: string, values: Values): Injection {
	const manifests = rendered(helm, values);
	return injectionShape.parse(parse(dataOf(find(manifests, 'ConfigMap', '-webhook'), 'injection.yaml')));
}

const patchOf = (pod: object, injection: Injection): readonly Operation[] => {
	const injected = inject(podShape.parse(pod), injection);
	if ('refused' in injected) throw new Error(injected.refused);
	return injected.patch;
};

for (const title of ['sidecar by webhook', 'sidecar by webhook, certificates by cert-manager']) {
	const values = PLACEMENTS[title] ?? {};

	test(`${title}: a pod with Sallyport is a pod, and before Sallyport nothing runs but what makes its copies of names`, t => {
		const helm = toolFor(t, 'helm');
		if (helm === undefined) return;
		const pod: Manifest & { readonly spec: PodSpec } = patched(
			AGENT_POD,
			patchOf(AGENT_POD, injectionOf(helm, values)),
		);
		assert.deepEqual(schema.problems(pod), []);
		const { initContainers = [], containers, volumes = [] } = pod.spec;
		assert.deepEqual(
			initContainers.map(({ name }) => name),
			['sallyport-names', 'sallyport', 'sallyport-egress', 'fetch'],
		);
		assert.equal(initContainers[1]?.restartPolicy, 'Always');
		// Whoever mounts secrets, the SVID's socket or files, or the control socket is Sallyport.
		const private_ = volumes.map(({ name }) => name).filter(name => !/^sallyport-(agent|no-token)$/.test(name));
		for (const { name, volumeMounts = [] } of [...initContainers.slice(2), ...containers])
			assert.deepEqual(
				volumeMounts.filter(mount => private_.includes(mount.name)),
				[],
				name,
			);
		const copies = initContainers[1]?.volumeMounts?.filter(({ name }) => name === 'sallyport-names');
		assert.deepEqual(copies, [
			{ name: 'sallyport-names', mountPath: '/etc/hosts', subPath: 'hosts', readOnly: true },
			{ name: 'sallyport-names', mountPath: '/etc/resolv.conf', subPath: 'resolv.conf', readOnly: true },
		]);
		const agent = containers[0]?.volumeMounts?.find(({ name }) => name === 'sallyport-agent');
		assert.equal(agent?.readOnly, true);
		assert.deepEqual(containers[0]?.securityContext, {
			runAsUser: 1000,
			allowPrivilegeEscalation: false,
			capabilities: { drop: ['NET_RAW', 'SETUID'] },
		});
	});

	test(`${title}: what is injected is restricted, but for the container that sets the rules`, t => {
		const helm = toolFor(t, 'helm');
		if (helm === undefined) return;
		const { initContainers, volumes } = injectionOf(helm, values);
		const spec = { containers: [], initContainers, volumes } as unknown as PodSpec;
		assert.deepEqual(restrictedProblems(spec), [
			'sallyport-egress: runAsNonRoot',
			'sallyport-egress: runAsUser 0',
			'sallyport-egress: capability NET_ADMIN',
		]);
		const none = injectionOf(helm, { ...values, egress: { enabled: false } });
		assert.deepEqual(
			restrictedProblems({ containers: [], initContainers: none.initContainers, volumes } as unknown as PodSpec),
			[],
		);
	});
}

test("a Deployment of one's own gets the same by the templates", t => {
	const helm = toolFor(t, 'helm');
	if (helm === undefined) return;
	const injection = injectionOf(helm, { placement: 'sidecar', webhook: { enabled: true } });
	const own = renderParent(t, helm);
	const { template } = find(own, 'Deployment', 'researcher')['spec'] as { template: { spec: PodSpec } };
	assert.deepEqual(template.spec.initContainers, injection.initContainers);
	assert.deepEqual(template.spec.volumes, injection.volumes);
	assert.deepEqual(template.spec.containers[0]?.volumeMounts, injection.agentMounts);
});
