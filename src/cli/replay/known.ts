import { objectOf, type ReadRecord, textOf } from '../../audit/read-record.ts';
import { parseSpiffeId } from '../../formats/spiffe-id.ts';
import { type Authentication, identity } from '../../model/agent.ts';
import { directionOf, type PolicyPath, phaseOf } from '../../model/call.ts';

/**
 * What every record says of a call, whatever the policy of the time read: of that an input can be made, though it was not
 * part of the recorded one.
 */
const KNOWN: readonly (readonly string[])[] = [
	['time'],
	['phase'],
	['direction'],
	['labels'],
	['listener'],
	['agent'],
	['target', 'name'],
	['target', 'host'],
	['target', 'port'],
	['target', 'agent'],
	['call', 'protocol'],
	['call', 'operation'],
	['call', 'resource'],
	['call', 'effect'],
];
const KNOWN_HTTP: readonly (readonly string[])[] = [...KNOWN, ['http', 'method'], ['http', 'path']];

/** Paths below `input` that a record holds; empty where single texts of it were cut. */
export function knownPaths(record: ReadRecord): readonly (readonly string[])[] {
	const call = objectOf(record.call);
	if (call === undefined || Array.isArray(record.erased)) return [];
	return call.protocol === 'http' && call.method !== undefined && call.path !== undefined ? KNOWN_HTTP : KNOWN;
}

/** The input with everything that the record knows beside it; what was recorded counts for more. */
export function completed(record: ReadRecord, input: ReadRecord, path: PolicyPath): ReadRecord {
	const call = objectOf(record.call) ?? {};
	const target = objectOf(call.target) ?? {};
	const { protocol, operation, resource, effect } = call;
	const id = parseSpiffeId(textOf(call.agent) ?? '');
	const agent =
		'broken' in id ? {} : (JSON.parse(identity(id, call.authentication as Authentication).json) as ReadRecord);
	return {
		time: record.timestamp,
		phase: phaseOf(path),
		direction: directionOf(path),
		labels: objectOf(record.labels) ?? {},
		listener: call.listener,
		...input,
		agent: { ...agent, ...objectOf(input.agent) },
		target: { ...target, ...objectOf(input.target) },
		call: { protocol, operation, resource, effect, ...objectOf(input.call) },
		...(call.protocol === 'http' && call.method !== undefined
			? { http: { method: call.method, path: call.path, ...objectOf(input.http) } }
			: {}),
	};
}
