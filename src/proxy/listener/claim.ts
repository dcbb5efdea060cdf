import type { ListenerConfig } from '../../config/schema.ts';
import { Listener } from './listener.ts';

/** The sockets of a configuration that is about to come into force. */
export interface Claim {
	/** One for each listener of the configuration. */
	readonly sockets: ReadonlyMap<ListenerConfig, Listener>;
	/** Those that it does not use. */
	readonly left: readonly Listener[];
}

/**
 * Finds a socket for each listener: the one that is open at its address, whoever has it now, or a new one. A port is
 * closed only where the kernel lets nobody open the new address beside the old one, and then for the moment between.
 * Rejects with what stands in the way, and has put back everything then.
 */
export async function claimSockets(
	wanted: readonly ListenerConfig[],
	open: ReadonlyMap<string, Listener>,
): Promise<Claim> {
	const sockets = new Map<ListenerConfig, Listener>();
	const free = new Set(open.values());
	const take = (config: ListenerConfig, listener: Listener | undefined): void => {
		if (listener === undefined) return;
		sockets.set(config, listener);
		free.delete(listener);
	};
	for (const config of wanted) {
		const own = open.get(config.name);
		if (own !== undefined && key(own.address) === key(config.address)) take(config, own);
	}
	const fresh = wanted.filter(config => !sockets.has(config));
	for (const config of fresh)
		take(
			config,
			[...free].find(listener => isAt(listener, config)),
		);

	const opened: Listener[] = [];
	const closed: Listener[] = [];
	const modes: (() => void)[] = [];
	try {
		const late: { readonly config: ListenerConfig; readonly made: Listener; readonly error: Error }[] = [];
		for (const config of fresh) {
			if (sockets.has(config)) continue;
			const made = new Listener(config.address, config.mode);
			const error = await opens(made);
			if (error === undefined) opened.push(made);
			else if (portOf(config.address) === undefined || !('code' in error) || error.code !== 'EADDRINUSE')
				throw named(config, error);
			else late.push({ config, made, error });
			sockets.set(config, made);
		}
		for (const { config, made, error } of late) {
			const inTheWay = [...free].filter(
				listener => !closed.includes(listener) && boundPort(listener) === portOf(config.address),
			);
			if (inTheWay.length === 0) throw named(config, error);
			for (const listener of inTheWay) listener.close();
			closed.push(...inTheWay);
			const again = await opens(made);
			if (again !== undefined) throw named(config, again);
			opened.push(made);
		}
		for (const [config, listener] of sockets) {
			const before = listener.mode;
			try {
				listener.changeMode(config.mode);
			} catch (error) {
				throw named(config, error as Error);
			}
			modes.push(() => listener.changeMode(before));
		}
	} catch (error) {
		for (const listener of opened) listener.close();
		const lost: string[] = [];
		for (const undo of modes) undo();
		for (const listener of closed)
			await listener.reopen().catch((why: Error) => lost.push(`${listener.duty?.name} is closed now: ${why.message}`));
		if (lost.length === 0) throw error;
		throw new Error([(error as Error).message, ...lost].join('; '), { cause: error });
	}
	return { sockets, left: [...free] };
}

const key = (address: ListenerConfig['address']): string =>
	address.kind === 'unix' ? address.path : `${address.host} ${address.port}`;

/** Whether it is open at the address of a listener. Who asks for any port gets another one than somebody else had. */
function isAt(listener: Listener, { address }: ListenerConfig): boolean {
	if (address.kind === 'unix') return key(listener.address) === key(address);
	if (address.port === 0) return false;
	const { bound } = listener;
	return (
		key(listener.address) === key(address) ||
		(bound !== undefined && 'port' in bound && bound.port === address.port && bound.address === address.host)
	);
}

const portOf = (address: ListenerConfig['address']): number | undefined =>
	address.kind === 'tcp' ? address.port : undefined;

function boundPort({ bound }: Listener): number | undefined {
	return bound !== undefined && 'port' in bound ? bound.port : undefined;
}

const opens = (listener: Listener): Promise<Error | undefined> =>
	listener.open().then(
		() => undefined,
		(error: unknown) => (error instanceof Error ? error : new Error(String(error))),
	);

const named = ({ name }: ListenerConfig, error: Error): Error =>
	new Error(`listener ${name}: ${error.message}`, { cause: error });
