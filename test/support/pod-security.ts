/** A pod's spec, as far as the Pod Security Standards look at it. */
export interface PodSpec {
	readonly hostNetwork?: boolean;
	readonly hostPID?: boolean;
	readonly hostIPC?: boolean;
	readonly automountServiceAccountToken?: boolean;
	readonly securityContext?: Security;
	readonly containers: readonly Container[];
	readonly initContainers?: readonly Container[];
	readonly volumes?: readonly (Readonly<Record<string, unknown>> & { readonly name: string })[];
}

interface Security {
	readonly runAsNonRoot?: boolean;
	readonly runAsUser?: number;
	readonly privileged?: boolean;
	readonly allowPrivilegeEscalation?: boolean;
	readonly readOnlyRootFilesystem?: boolean;
	readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
	readonly seccompProfile?: { readonly type: string };
	readonly procMount?: string;
}

export interface Container {
	readonly name: string;
	readonly restartPolicy?: string;
	readonly image?: string;
	readonly args?: readonly string[];
	readonly env?: readonly { readonly name: string; readonly value?: string }[];
	readonly ports?: readonly { readonly hostPort?: number }[];
	readonly securityContext?: Security;
	readonly resources?: { readonly requests?: object; readonly limits?: { readonly memory?: string } };
	readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
	readonly [more: string]: unknown;
}

const VOLUMES = [
	'configMap',
	'csi',
	'downwardAPI',
	'emptyDir',
	'ephemeral',
	'persistentVolumeClaim',
	'projected',
	'secret',
];

/** What keeps a pod from "restricted" (Kubernetes, Pod Security Standards), and what this chart promises beside it. */
export function restrictedProblems(spec: PodSpec): readonly string[] {
	const problems: string[] = [];
	for (const key of ['hostNetwork', 'hostPID', 'hostIPC'] as const) if (spec[key] === true) problems.push(key);
	for (const { name, ...kinds } of spec.volumes ?? [])
		for (const kind of Object.keys(kinds)) if (!VOLUMES.includes(kind)) problems.push(`volume ${name}: ${kind}`);
	for (const container of [...(spec.initContainers ?? []), ...spec.containers])
		for (const problem of containerProblems(container, spec.securityContext ?? {}))
			problems.push(`${container.name}: ${problem}`);
	return problems;
}

function* containerProblems(container: Container, pod: Security): Generator<string> {
	const own = container.securityContext ?? {};
	const profile = (own.seccompProfile ?? pod.seccompProfile)?.type;
	if (own.privileged === true) yield 'privileged';
	if (own.allowPrivilegeEscalation !== false) yield 'allowPrivilegeEscalation';
	if ((own.runAsNonRoot ?? pod.runAsNonRoot) !== true) yield 'runAsNonRoot';
	if ((own.runAsUser ?? pod.runAsUser) === 0) yield 'runAsUser 0';
	if (!own.capabilities?.drop?.includes('ALL')) yield 'capabilities are not dropped';
	for (const name of own.capabilities?.add ?? []) if (name !== 'NET_BIND_SERVICE') yield `capability ${name}`;
	if (profile !== 'RuntimeDefault' && profile !== 'Localhost') yield 'seccompProfile';
	if (own.procMount !== undefined && own.procMount !== 'Default') yield 'procMount';
	if (container.ports?.some(({ hostPort }) => hostPort !== undefined)) yield 'hostPort';
	if (own.readOnlyRootFilesystem !== true) yield 'readOnlyRootFilesystem';
	if (container.resources?.requests === undefined || container.resources.limits?.memory === undefined)
		yield 'resources';
}
