import * as z from 'zod';

/** Of a Kubernetes object, as far as it is looked at; what is not named here goes through as it is. */
const mount = z.looseObject({ name: z.string(), mountPath: z.string() });
const capabilities = z.looseObject({ add: z.array(z.string()).nullish(), drop: z.array(z.string()).nullish() });
const security = z.looseObject({
	runAsUser: z.number().nullish(),
	privileged: z.boolean().nullish(),
	allowPrivilegeEscalation: z.boolean().nullish(),
	capabilities: capabilities.nullish(),
});
const container = z.looseObject({
	name: z.string(),
	volumeMounts: z.array(mount).nullish(),
	securityContext: security.nullish(),
});
const volume = z.looseObject({ name: z.string() });

export const podShape = z.looseObject({
	spec: z.looseObject({
		containers: z.array(container).min(1),
		initContainers: z.array(container).nullish(),
		volumes: z.array(volume).nullish(),
		hostNetwork: z.boolean().nullish(),
		hostPID: z.boolean().nullish(),
		shareProcessNamespace: z.boolean().nullish(),
		securityContext: z.looseObject({ runAsUser: z.number().nullish() }).nullish(),
	}),
});

/** What is added to a pod: helm/sallyport writes it, by the templates that a Deployment of one's own uses too. */
export const injectionShape = z.strictObject({
	/** The user that Sallyport runs as, and nothing else. */
	user: z.number().int().positive(),
	/** Before the pod's own, in this order. */
	initContainers: z.array(container).min(1),
	volumes: z.array(volume),
	/** Of every container of the agent's. */
	agentMounts: z.array(mount),
});

export type Pod = z.output<typeof podShape>;
export type Container = z.output<typeof container>;
export type Injection = z.output<typeof injectionShape>;

/** The init containers of a pod that are the agent's. */
export const initAgentsOf = ({ spec }: Pod, { initContainers }: Injection): readonly Container[] =>
	(spec.initContainers ?? []).filter(({ name }) => !initContainers.some(own => own.name === name));

/** All of a pod's containers that are the agent's. */
export const agentsOf = (pod: Pod, injection: Injection): readonly Container[] => [
	...pod.spec.containers,
	...initAgentsOf(pod, injection),
];
