import { parseEndpointSocket } from '../formats/endpoint-socket.ts';
import { parseSpiffeId } from '../formats/spiffe-id.ts';
import { patternProblem } from '../formats/spiffe-pattern.ts';
import { checkBundle, checkStatusReports } from './check-bundles.ts';
import { checkCredentials } from './check-credentials.ts';
import { checkSinks } from './check-sinks.ts';
import { checkWays } from './check-ways.ts';
import { endpointProblem } from './endpoint.ts';
import type { Config } from './schema.ts';

type Fail = (path: readonly (string | number)[], message: string) => void;

/** What no single value shows: names that repeat, references that lead nowhere, combinations that make no sense. */
export function check(config: Config, fail: Fail): void {
	checkIds(config, fail);
	checkIdentity(config, fail);
	checkPolicy(config, fail);
	checkListeners(config, fail);
	checkWays(config, fail);
	checkUpstreams(config, fail);
	checkCredentials(config, fail);
	checkSinks(config, fail);
	checkAdmin(config, fail);
}

/** Ids and patterns, which the schema knows by their shape only. */
function checkIds(config: Config, fail: Fail): void {
	const pattern = (text: string, path: readonly (string | number)[]): void => {
		const problem = patternProblem(text);
		if (problem !== undefined) fail(path, `is no pattern of SPIFFE IDs: ${problem}`);
	};
	const id = (text: string, path: readonly (string | number)[]): void => {
		const parsed = parseSpiffeId(text);
		if ('broken' in parsed) fail(path, `is no SPIFFE ID: ${parsed.broken}`);
	};
	const patterns = (list: readonly string[] | undefined, path: readonly (string | number)[]): void =>
		list?.forEach((text, index) => {
			pattern(text, [...path, index]);
		});
	config.policy.bundles?.forEach((bundle, index) => {
		patterns(bundle.agents, ['policy', 'bundles', index, 'agents']);
	});
	config.listeners.forEach((listener, index) => {
		patterns(listener.agents, ['listeners', index, 'agents']);
		if (listener.agent !== undefined) id(listener.agent, ['listeners', index, 'agent']);
	});
	for (const [name, upstream] of Object.entries(config.upstreams)) {
		upstream.credentials?.forEach((entry, index) => {
			patterns(entry.agents, ['upstreams', name, 'credentials', index, 'agents']);
		});
		if (upstream.tls?.spiffe_id !== undefined) id(upstream.tls.spiffe_id, ['upstreams', name, 'tls', 'spiffe_id']);
	}
	patterns(config.admin.control?.operators, ['admin', 'control', 'operators']);
	const choice = config.identity.svid.workload_api?.svid;
	if (choice !== undefined && 'id' in choice) id(choice.id, ['identity', 'svid', 'workload_api', 'svid', 'id']);
}

function checkIdentity({ identity }: Config, fail: Fail): void {
	const { svid, trust_domain: own, trust_bundles: bundles } = identity;
	if ((svid.files === undefined) === (svid.workload_api === undefined))
		fail(['identity', 'svid'], 'expected either `files` or `workload_api`');
	const { socket, svid: choice } = svid.workload_api ?? {};
	const at = (...more: string[]): string[] => ['identity', 'svid', 'workload_api', ...more];
	if (socket !== undefined) {
		const parsed = parseEndpointSocket(socket);
		if ('broken' in parsed) fail(at('socket'), `is no Workload API socket: ${parsed.broken}`);
	}
	if (choice !== undefined && 'id' in choice && !choice.id.startsWith(`spiffe://${own}/`))
		fail(at('svid', 'id'), `is not in the trust domain ${own}`);
	checkRevocations(identity.revocations, fail);
	for (const [domain, bundle] of Object.entries(bundles)) {
		const place = (...more: string[]): string[] => ['identity', 'trust_bundles', domain, ...more];
		if (domain === own)
			fail(place(), 'is the own trust domain: its trust bundle comes with the SVID and from nowhere else');
		if ((bundle.files === undefined) === (bundle.https_web === undefined))
			fail(place(), 'expected either `files` or `https_web`');
		const problem = bundle.https_web === undefined ? undefined : endpointProblem(bundle.https_web.url);
		if (problem !== undefined) fail(place('https_web', 'url'), problem);
	}
}

function checkRevocations(revocations: Config['identity']['revocations'], fail: Fail): void {
	if (revocations === undefined) return;
	const { url, file, poll, roots, max_age: maxAge } = revocations;
	const at = (...more: string[]): string[] => ['identity', 'revocations', ...more];
	if ((url === undefined) === (file === undefined)) fail(at(), 'expected either `url` or `file`');
	const problem = url === undefined ? undefined : endpointProblem(url);
	if (problem !== undefined) fail(at('url'), problem);
	if (url === undefined && roots !== undefined) fail(at('roots'), 'is for `url`');
	if (url === undefined && poll !== undefined) fail(at('poll'), 'is for `url`: a file is watched');
	if (poll !== undefined && poll < 1000) fail(at('poll'), 'expected 1s or more');
	if (maxAge !== undefined && maxAge === 0) fail(at('max_age'), 'expected more than 0: every list is older');
}

function checkPolicy({ policy }: Config, fail: Fail): void {
	if ((policy.files === undefined) === (policy.bundles === undefined))
		fail(['policy'], 'expected either `files` or `bundles`');
	const names = new Set<string>();
	if (policy.status !== undefined)
		checkStatusReports(policy.status, (more, message) => fail(['policy', 'status', ...more], message));
	if (policy.bundles?.every(({ shadow }) => shadow === true))
		fail(['policy', 'bundles'], 'expected one that is no `shadow`: nothing would decide');
	policy.bundles?.forEach((bundle, index) => {
		checkBundle(bundle, (more, message) => fail(['policy', 'bundles', index, ...more], message));
		if (names.has(bundle.name)) fail(['policy', 'bundles', index, 'name'], `two bundles are named ${bundle.name}`);
		names.add(bundle.name);
	});
}

function checkListeners({ listeners, upstreams }: Config, fail: Fail): void {
	const names = new Set<string>();
	const addresses = new Set<string>();
	listeners.forEach((listener, index) => {
		const at = (...more: (string | number)[]): (string | number)[] => ['listeners', index, ...more];
		if (names.has(listener.name)) fail(at('name'), `two listeners are named ${listener.name}`);
		names.add(listener.name);
		const { address } = listener;
		const key = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
		if (addresses.has(key) && !key.endsWith(':0')) fail(at('address'), 'two listeners have this address');
		addresses.add(key);
		const inbound = listener.serves === 'inbound';
		if (inbound && listener.upstream === undefined) fail(at(), "expected `upstream`: the workload's own server");
		if (inbound && listener.agent === undefined) fail(at(), 'expected `agent`: the id of the workload behind');
		if (!inbound && listener.agent !== undefined) fail(at('agent'), 'is for `serves: inbound`');
		if (!inbound && (listener.serves === undefined) === (listener.upstream === undefined))
			fail(at(), 'expected either `serves` or `upstream`');
		if (listener.upstream !== undefined && upstreams[listener.upstream] === undefined)
			fail(at('upstream'), `there is no upstream named ${listener.upstream}`);
		if (listener.env !== undefined && (listener.upstream === undefined || inbound))
			fail(at('env'), 'only a door has an address to hand out');
		for (const key of ['user', 'database'] as const) {
			if (listener[key] !== undefined && upstreams[listener.upstream ?? '']?.protocol !== 'postgres')
				fail(at(key), 'is for a door to postgres');
		}
	});
}

function checkUpstreams({ upstreams }: Config, fail: Fail): void {
	const taken = new Map<string, string>();
	for (const [name, upstream] of Object.entries(upstreams)) {
		for (const host of upstream.hosts ?? [upstream.address.host]) {
			const key = `${host.toLowerCase()}:${upstream.address.port}`;
			const other = taken.get(key);
			if (other !== undefined) fail(['upstreams', name, 'hosts'], `${key} leads to ${other} already`);
			taken.set(key, name);
		}
		if (upstream.effects !== undefined && upstream.protocol !== 'http')
			fail(['upstreams', name, 'effects'], 'methods and paths are for http');
		if (upstream.upgrade && upstream.tls === undefined)
			fail(['upstreams', name, 'upgrade'], 'there is no `tls` to upgrade to');
		if (upstream.tls?.spiffe_id !== undefined && upstream.tls.server_name !== undefined)
			fail(['upstreams', name, 'tls'], 'expected either `spiffe_id` or `server_name`: an SVID is judged by its id');
	}
}

function checkAdmin({ admin }: Config, fail: Fail): void {
	const { control, health } = admin;
	if (control === undefined) return;
	if (control.socket === undefined && control.address === undefined)
		fail(['admin', 'control'], 'expected `socket`, `address`, or both');
	if (control.address !== undefined && control.operators === undefined)
		fail(['admin', 'control', 'operators'], 'is missing: who may use the address?');
	if (control.users !== undefined && control.socket === undefined)
		fail(['admin', 'control', 'users'], 'user ids are known on a socket only');
	if (
		health?.address.kind === 'tcp' &&
		control.address?.kind === 'tcp' &&
		health.address.port === control.address.port &&
		health.address.port !== 0
	)
		fail(['admin', 'control', 'address'], 'health has this port');
}
