import { agentsOf, type Injection, type Pod } from './injection.ts';

type Loose = Readonly<Record<string, unknown>>;

const objectOf = (value: unknown): Loose => (typeof value === 'object' && value !== null ? (value as Loose) : {});
const listOf = (value: unknown): readonly Loose[] => (Array.isArray(value) ? value.map(objectOf) : []);

/** The secrets that a volume shows. */
function secretsOf(volume: Loose): readonly unknown[] {
	const projected = listOf(objectOf(volume['projected'])['sources']).map(source => objectOf(source['secret'])['name']);
	return [objectOf(volume['secret'])['secretName'], ...projected];
}

/** cert-manager's driver: what it mounts is the SVID of the pod's service account, whichever container asks. */
const ACCOUNT_DRIVER = 'spiffe.csi.cert-manager.io';

const driverOf = (volume: Loose): unknown => objectOf(volume['csi'])['driver'];

/** Why a pod cannot be let in that mounts Sallyport's SVID by a volume of its own. SPIRE's driver tells containers apart. */
export function svidOfOurs({ spec }: Pod, { volumes }: Injection): string | undefined {
	if (!volumes.some(volume => driverOf(volume) === ACCOUNT_DRIVER)) return undefined;
	const own = new Set(volumes.map(({ name }) => name));
	const other = spec.volumes?.find(volume => driverOf(volume) === ACCOUNT_DRIVER && !own.has(volume.name));
	return other === undefined
		? undefined
		: `volume ${other.name} would hold Sallyport's SVID: it is the service account's`;
}

/** Why a pod cannot be let in that shows one of Sallyport's secrets by a volume or variable of its own. */
export function secretOfOurs(pod: Pod, injection: Injection): string | undefined {
	const { volumes } = injection;
	const named = new Set(volumes.flatMap(secretsOf).filter(name => typeof name === 'string'));
	if (named.size === 0) return undefined;
	const why = (where: string): string => `${where} has a secret that is Sallyport's`;
	const own = new Set(volumes.map(({ name }) => name));
	const volume = (pod.spec.volumes ?? []).find(
		one => !own.has(one.name) && secretsOf(one).some(name => named.has(String(name))),
	);
	if (volume !== undefined) return why(`volume ${volume.name}`);
	const container = agentsOf(pod, injection).find(one => {
		const variables = listOf(one['env']).map(({ valueFrom }) => objectOf(objectOf(valueFrom)['secretKeyRef'])['name']);
		const whole = listOf(one['envFrom']).map(({ secretRef }) => objectOf(secretRef)['name']);
		return [...variables, ...whole].some(name => named.has(String(name)));
	});
	return container === undefined ? undefined : why(`the environment of container ${container.name}`);
}
