import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inject } from '../../src/cli/webhook/inject.ts';
import { injectionShape, podShape } from '../../src/cli/webhook/injection.ts';
import { patched } from '../support/json-patch.ts';

const INJECTION = injectionShape.parse({
	user: 17400,
	initContainers: [
		{
			name: 'sallyport',
			image: 'sallyport:1',
			restartPolicy: 'Always',
			securityContext: { runAsUser: 17400 },
			volumeMounts: [{ name: 'sallyport-policy', mountPath: '/etc/sallyport-policy', readOnly: true }],
		},
		{ name: 'sallyport-egress', image: 'egress:1', securityContext: { runAsUser: 0 } },
	],
	volumes: [
		{ name: 'sallyport-agent', emptyDir: {} },
		{ name: 'sallyport-svid', csi: { driver: 'csi.spiffe.io' } },
		{ name: 'sallyport-policy', configMap: { name: 'policy' } },
		{ name: 'sallyport-secret-0', secret: { secretName: 'crm-token' } },
	],
	agentMounts: [{ name: 'sallyport-agent', mountPath: '/run/sallyport-agent', readOnly: true }],
});

type Spec = Readonly<Record<string, unknown>>;
const AGENT = { name: 'agent', image: 'agent:1', securityContext: { runAsUser: 1000 } };
const pod = (spec: Spec = {}, agent: Spec = {}): { readonly spec: Spec } => ({
	spec: { containers: [{ ...AGENT, ...agent }], ...spec },
});
const run = (document: object) => inject(podShape.parse(document), INJECTION);

function after(document: object): { readonly spec: Record<string, unknown> } {
	const injected = run(document);
	if ('refused' in injected) throw new Error(injected.refused);
	return patched(document, injected.patch) as { readonly spec: Record<string, unknown> };
}

const namesOf = (list: unknown): readonly string[] => (list as { readonly name: string }[]).map(({ name }) => name);

test('a bare pod gets all of it', () => {
	const { spec } = after(pod());
	assert.deepEqual(namesOf(spec['initContainers']), ['sallyport', 'sallyport-egress']);
	assert.deepEqual(namesOf(spec['volumes']), namesOf(INJECTION.volumes));
	assert.deepEqual(namesOf((spec['containers'] as { volumeMounts: unknown }[])[0]?.volumeMounts), ['sallyport-agent']);
});

test('what a pod has stays, behind it', () => {
	const mounts = [{ name: 'work', mountPath: '/work' }];
	const { spec } = after(
		pod(
			{ initContainers: [{ ...AGENT, name: 'fetch' }], volumes: [{ name: 'work', emptyDir: {} }] },
			{ volumeMounts: mounts },
		),
	);
	assert.deepEqual(namesOf(spec['initContainers']), ['sallyport', 'sallyport-egress', 'fetch']);
	assert.deepEqual(namesOf(spec['volumes']), ['work', ...namesOf(INJECTION.volumes)]);
	assert.deepEqual(namesOf((spec['containers'] as { volumeMounts: unknown }[])[0]?.volumeMounts), [
		'work',
		'sallyport-agent',
	]);
	const fetch = (spec['initContainers'] as { securityContext: unknown }[])[2];
	assert.deepEqual(fetch?.securityContext, {
		runAsUser: 1000,
		allowPrivilegeEscalation: false,
		capabilities: { drop: ['NET_RAW', 'SETUID'] },
	});
});

for (const [title, order] of [
	['before them', ['early', 'sallyport', 'sallyport-egress']],
	['between them', ['sallyport', 'early', 'sallyport-egress']],
	['before one of them, the other of which is missing', ['early', 'sallyport-egress']],
	['before them, the wrong way round', ['early', 'sallyport-egress', 'late', 'sallyport']],
] as const) {
	test(`a container that would run ${title} runs after the rules, held in`, () => {
		const own = (name: string) => INJECTION.initContainers.find(container => container.name === name);
		const initContainers = order.map(name => own(name) ?? { ...AGENT, name });
		const { spec } = after(pod({ initContainers }));
		const others = order.filter(name => own(name) === undefined);
		assert.deepEqual(namesOf(spec['initContainers']), ['sallyport', 'sallyport-egress', ...others]);
		for (const container of (spec['initContainers'] as Spec[]).slice(2))
			assert.deepEqual(container['securityContext'], {
				runAsUser: 1000,
				allowPrivilegeEscalation: false,
				capabilities: { drop: ['NET_RAW', 'SETUID'] },
			});
		assert.deepEqual(
			(spec['initContainers'] as Spec[]).slice(0, 2),
			INJECTION.initContainers.map(container => ({ ...container })),
		);
	});
}

test('a second time nothing is added', () => {
	const once = after(pod());
	type Filled = {
		spec: { initContainers: Record<string, unknown>[]; volumes: { configMap?: object; secret?: object }[] };
	};
	const filled = structuredClone(once) as unknown as Filled;
	// As the API server does between the calls.
	for (const container of filled.spec.initContainers)
		Object.assign(container, { terminationMessagePath: '/dev/termination-log', resources: {} });
	for (const { configMap, secret } of filled.spec.volumes)
		Object.assign(configMap ?? secret ?? {}, { defaultMode: 420 });
	assert.deepEqual(run(filled), { patch: [], warnings: [] });
});

test('what another webhook put before Sallyport comes after it', () => {
	const { spec } = after(pod());
	const [sallyport, egress] = spec['initContainers'] as Record<string, unknown>[];
	const sync = { ...AGENT, name: 'sync', image: 'sync:1', envFrom: [] };
	for (const initContainers of [
		[sync, sallyport, egress],
		[sallyport, sync, egress],
		[egress, sync, sallyport],
		[sync, sallyport],
	]) {
		const again = after({ spec: { ...spec, initContainers } });
		assert.deepEqual(namesOf(again.spec['initContainers']), ['sallyport', 'sallyport-egress', 'sync']);
		const [, , held] = again.spec['initContainers'] as Record<string, unknown>[];
		assert.equal((held?.['securityContext'] as Spec | undefined)?.['allowPrivilegeEscalation'], false);
		assert.deepEqual(held?.['envFrom'], [], 'the rest of it stays');
		assert.deepEqual(run(again), { patch: [], warnings: [] });
	}
});

test('who has dropped everything is left as it is', () => {
	const securityContext = { runAsUser: 1, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
	const { spec } = after(pod({}, { securityContext }));
	assert.deepEqual((spec['containers'] as { securityContext: unknown }[])[0]?.securityContext, securityContext);
});

test('a container whose user nobody names is warned of', () => {
	const injected = run(pod({}, { securityContext: {} }));
	assert.ok('warnings' in injected);
	assert.match(injected.warnings.join(), /container agent names no runAsUser: if its image runs as 17400/);
	assert.deepEqual(
		(run(pod({ securityContext: { runAsUser: 5 } }, { securityContext: {} })) as { warnings: unknown }).warnings,
		[],
	);
});

for (const [title, document, says] of [
	['the network of the node', pod({ hostNetwork: true }), /hostNetwork/],
	['the processes of the node', pod({ hostPID: true }), /hostPID/],
	['one view of all processes', pod({ shareProcessNamespace: true }), /shareProcessNamespace/],
	["Sallyport's user", pod({}, { securityContext: { runAsUser: 17400 } }), /runAsUser 17400 is Sallyport's own/],
	[
		"Sallyport's user for all",
		pod({ securityContext: { runAsUser: 17400 } }, { securityContext: {} }),
		/runAsUser 17400/,
	],
	['privileges', pod({}, { securityContext: { privileged: true } }), /privileged/],
	['escalation', pod({}, { securityContext: { allowPrivilegeEscalation: true } }), /allowPrivilegeEscalation/],
	['rules of its own', pod({}, { securityContext: { capabilities: { add: ['NET_ADMIN'] } } }), /capability NET_ADMIN/],
	[
		'the same in other words',
		pod({}, { securityContext: { capabilities: { add: ['cap_setuid'] } } }),
		/capability cap_setuid/,
	],
	[
		'files of other containers',
		pod({}, { securityContext: { capabilities: { add: ['DAC_READ_SEARCH'] } } }),
		/capability DAC_READ_SEARCH/,
	],
	['every capability', pod({}, { securityContext: { capabilities: { add: ['ALL'] } } }), /capability ALL/],
	[
		'an init container that may',
		pod({ initContainers: [{ name: 'x', securityContext: { privileged: true } }] }),
		/container x: privileged/,
	],
	[
		'the SVID',
		pod({}, { volumeMounts: [{ name: 'sallyport-svid', mountPath: '/s' }] }),
		/sallyport-svid is for Sallyport alone/,
	],
	['tokens to write', pod({}, { volumeMounts: [{ name: 'sallyport-agent', mountPath: '/s' }] }), /is to be read only/],
	[
		"Sallyport's container with another part of its policy",
		pod({
			initContainers: INJECTION.initContainers.map(({ volumeMounts, ...container }) => ({
				...container,
				...(volumeMounts == null ? {} : { volumeMounts: volumeMounts.map(mount => ({ ...mount, subPath: 'old' })) }),
			})),
		}),
		/init container sallyport: the name is Sallyport's/,
	],
	[
		'another container of the name',
		pod({ initContainers: [{ name: 'sallyport', image: 'evil:1' }] }),
		/the name is Sallyport's/,
	],
	[
		'the same one with more in it',
		pod({ initContainers: [{ ...INJECTION.initContainers[1], env: [{ name: 'LD_PRELOAD', value: '/x.so' }] }] }),
		/init container sallyport-egress/,
	],
	[
		'a part of the policy only',
		pod({ volumes: [{ name: 'sallyport-policy', configMap: { name: 'policy', items: [{ key: 'a', path: 'a' }] } }] }),
		/volume sallyport-policy/,
	],
	[
		"a secret of Sallyport's",
		pod({ volumes: [{ name: 'mine', secret: { secretName: 'crm-token' } }] }),
		/volume mine has a secret that is Sallyport's/,
	],
	[
		'the same among others',
		pod({
			volumes: [
				{ name: 'mine', projected: { sources: [{ configMap: { name: 'x' } }, { secret: { name: 'crm-token' } }] } },
			],
		}),
		/volume mine has a secret that is Sallyport's/,
	],
	[
		'the same in a variable',
		pod(
			{},
			{
				env: [
					{ name: 'A', value: '1' },
					{ name: 'T', valueFrom: { secretKeyRef: { name: 'crm-token', key: 'x' } } },
				],
			},
		),
		/the environment of container agent has a secret/,
	],
	[
		'the same in all variables of an init container',
		pod({ initContainers: [{ ...AGENT, name: 'x', envFrom: [{ secretRef: { name: 'crm-token' } }] }] }),
		/the environment of container x has a secret/,
	],
	[
		'another volume of the name',
		pod({ volumes: [{ name: 'sallyport-svid', hostPath: { path: '/' } }] }),
		/volume sallyport-svid/,
	],
] as const) {
	test(`refused: a pod that wants ${title}`, () => {
		const injected = run(document);
		assert.ok('refused' in injected, JSON.stringify(injected));
		assert.match(injected.refused, says);
	});
}

test("cert-manager's driver gives one SVID to all of a pod: a volume of it is refused where Sallyport has one", () => {
	const driver = 'spiffe.csi.cert-manager.io';
	const document = podShape.parse(pod({ volumes: [{ name: 'mine', csi: { driver } }] }));
	const volumes = INJECTION.volumes.map(volume =>
		volume.name === 'sallyport-svid' ? { ...volume, csi: { driver } } : volume,
	);
	const injected = inject(document, { ...INJECTION, volumes });
	assert.match('refused' in injected ? injected.refused : '', /volume mine would hold Sallyport's SVID/);
	assert.ok('patch' in inject(document, INJECTION), "SPIRE's driver tells containers apart");
	assert.ok('patch' in inject(podShape.parse(pod({ volumes })), { ...INJECTION, volumes }), "Sallyport's own");
});
