import { agentsOf, type Container, type Injection, initAgentsOf, type Pod } from './injection.ts';
import { secretOfOurs, svidOfOurs } from './secrets.ts';

/** RFC 6902. */
export type Operation =
	| { readonly op: 'add'; readonly path: string; readonly value: unknown }
	| { readonly op: 'move'; readonly path: string; readonly from: string };

export type Injected =
	| { readonly patch: readonly Operation[]; readonly warnings: readonly string[] }
	/** Why a pod like this cannot be held in. */
	| { readonly refused: string };

/** With one of these a process lifts the rules, becomes Sallyport's user, reads its files, or makes packets that no rule sees. */
const FORBIDDEN: ReadonlySet<string> = new Set([
	'ALL',
	'BPF',
	'DAC_READ_SEARCH',
	'NET_ADMIN',
	'NET_RAW',
	'PERFMON',
	'SETUID',
	'SYS_ADMIN',
	'SYS_MODULE',
	'SYS_PTRACE',
	'SYS_RAWIO',
]);
/** Those of them that a container runtime gives to root unasked. */
const GIVEN = ['NET_RAW', 'SETUID'];

/** What has to be added to a pod, or why it is not let in. What another call added already is left, if it is the same. */
export function inject(pod: Pod, injection: Injection): Injected {
	const refused = whyNot(pod, injection);
	if (refused !== undefined) return { refused };
	const { spec } = pod;
	const patch: Operation[] = [...inFront(spec.initContainers, injection.initContainers)];

	const volumes = injection.volumes.filter(({ name }) => !spec.volumes?.some(other => other.name === name));
	if (spec.volumes == null) patch.push({ op: 'add', path: '/spec/volumes', value: volumes });
	else for (const volume of volumes) patch.push({ op: 'add', path: '/spec/volumes/-', value: volume });

	for (const [index, container] of spec.containers.entries()) {
		const mounts = injection.agentMounts.filter(
			({ mountPath }) => !container.volumeMounts?.some(other => other.mountPath === mountPath),
		);
		const path = `/spec/containers/${index}/volumeMounts`;
		if (container.volumeMounts == null) patch.push({ op: 'add', path, value: mounts });
		else for (const mount of mounts) patch.push({ op: 'add', path: `${path}/-`, value: mount });
		holdIn(container, `/spec/containers/${index}`, patch);
	}
	for (const [index, container] of initAgentsOf(pod, injection).entries())
		holdIn(container, `/spec/initContainers/${injection.initContainers.length + index}`, patch);
	const unknown = agentsOf(pod, injection).filter(container => userOf(container, pod) === undefined);
	const warnings = unknown.map(
		({ name }) =>
			`container ${name} names no runAsUser: if its image runs as ${injection.user}, it gets around Sallyport`,
	);
	return { patch, warnings };
}

/** Sallyport's are the first, in their order: what ran before the rules would have every way out. */
function inFront(present: Pod['spec']['initContainers'], ours: readonly Container[]): readonly Operation[] {
	if (present == null) return [{ op: 'add', path: '/spec/initContainers', value: ours }];
	const path = (index: number): string => `/spec/initContainers/${index}`;
	const names = present.map(({ name }) => name);
	const patch: Operation[] = [];
	for (const [index, container] of ours.entries()) {
		const at = names.indexOf(container.name);
		if (at === index) continue;
		if (at > index) names.splice(at, 1);
		names.splice(index, 0, container.name);
		patch.push(
			at > index
				? { op: 'move', from: path(at), path: path(index) }
				: { op: 'add', path: path(index), value: container },
		);
	}
	return patch;
}

const userOf = ({ securityContext }: Container, { spec }: Pod): number | undefined =>
	securityContext?.runAsUser ?? spec.securityContext?.runAsUser ?? undefined;

/** Takes what could be gained from a container that has not given it up itself. */
function holdIn({ securityContext }: Container, path: string, patch: Operation[]): void {
	const drop = securityContext?.capabilities?.drop ?? [];
	const taken = drop.includes('ALL') ? drop : [...drop, ...GIVEN.filter(name => !drop.includes(name))];
	if (taken.length === drop.length && securityContext?.allowPrivilegeEscalation === false) return;
	const value = {
		...securityContext,
		allowPrivilegeEscalation: false,
		capabilities: { ...securityContext?.capabilities, drop: taken },
	};
	patch.push({ op: 'add', path: `${path}/securityContext`, value });
}

function whyNot(pod: Pod, injection: Injection): string | undefined {
	const { spec } = pod;
	if (spec.hostNetwork === true) return "hostNetwork: the rules would be the node's";
	if (spec.hostPID === true) return "hostPID: it would see Sallyport's process";
	if (spec.shareProcessNamespace === true) return "shareProcessNamespace: it would see Sallyport's process";
	for (const container of spec.initContainers ?? []) {
		const own = injection.initContainers.find(({ name }) => name === container.name);
		if (own !== undefined && !isOwn(container, own))
			return `init container ${own.name}: the name is Sallyport's, and this is another one`;
	}
	for (const volume of spec.volumes ?? []) {
		const own = injection.volumes.find(({ name }) => name === volume.name);
		if (own !== undefined && !(holds(volume, own) && addsNothing(volume, own)))
			return `volume ${own.name}: the name is Sallyport's, and this is another one`;
	}
	const secret = svidOfOurs(pod, injection) ?? secretOfOurs(pod, injection);
	if (secret !== undefined) return secret;
	for (const container of agentsOf(pod, injection)) {
		const why = whyNotContainer(container, pod, injection);
		if (why !== undefined) return `container ${container.name}: ${why}`;
	}
	return undefined;
}

function whyNotContainer(
	container: Container,
	pod: Pod,
	{ user, volumes, agentMounts }: Injection,
): string | undefined {
	const { securityContext, volumeMounts } = container;
	if (userOf(container, pod) === user) return `runAsUser ${user} is Sallyport's own`;
	if (securityContext?.privileged === true) return 'privileged: it could lift the rules';
	if (securityContext?.allowPrivilegeEscalation === true) return 'allowPrivilegeEscalation: it could become any user';
	const added = securityContext?.capabilities?.add?.find(name =>
		FORBIDDEN.has(name.toUpperCase().replace(/^CAP_/, '')),
	);
	if (added !== undefined) return `capability ${added}: it could lift the rules`;
	for (const { name } of volumeMounts ?? []) {
		const own = volumes.some(volume => volume.name === name) && !agentMounts.some(mount => mount.name === name);
		if (own) return `volume ${name} is for Sallyport alone`;
	}
	const writable = volumeMounts?.find(
		mount => agentMounts.some(({ name }) => name === mount.name) && mount['readOnly'] !== true,
	);
	return writable === undefined ? undefined : `volume ${writable.name} is to be read only`;
}

/** What the API server fills in, and what a LimitRange may change. */
const FILLED_IN: ReadonlySet<string> = new Set([
	'imagePullPolicy',
	'resources',
	'terminationMessagePath',
	'terminationMessagePolicy',
]);

/** Whether a container is the one that was added, and nothing was put beside it: a `subPath` would show it other files. */
const isOwn = (container: Container, own: Container): boolean =>
	holds(container, { ...own, resources: undefined }) &&
	addsNothing(container.volumeMounts, own.volumeMounts) &&
	Object.keys(container).every(key => key in own || FILLED_IN.has(key));

/** Whether there is no more in it than in its own, but for what the API server fills in: `items` would leave a policy out. */
function addsNothing(whole: unknown, own: unknown): boolean {
	if (typeof whole !== 'object' || whole === null) return true;
	return Object.entries(whole).every(
		([key, value]) =>
			key === 'defaultMode' ||
			(typeof own === 'object' &&
				own !== null &&
				Object.hasOwn(own, key) &&
				addsNothing(value, (own as Record<string, unknown>)[key])),
	);
}

/** Whether all of `part` stands in `whole`, which the API server has filled with defaults. */
function holds(whole: unknown, part: unknown): boolean {
	if (part === undefined) return true;
	if (Array.isArray(part))
		return Array.isArray(whole) && whole.length === part.length && part.every((one, index) => holds(whole[index], one));
	if (typeof part !== 'object' || part === null) return whole === part;
	if (typeof whole !== 'object' || whole === null) return false;
	return Object.entries(part).every(([key, value]) => holds((whole as Record<string, unknown>)[key], value));
}
