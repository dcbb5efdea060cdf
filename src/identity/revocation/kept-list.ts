import type { State } from '../../model/ports.ts';
import { readRevocation, revocationJson } from './entry.ts';
import type { FleetList } from './signed-list.ts';

/** A list in force, and what is known of where it came from. */
export interface KeptList extends FleetList {
	/** Id of the key that signed it. */
	readonly key: string;
	readonly url?: string;
	/** How the server at the URL tagged it. */
	readonly etag?: string;
}

const SPACE = 'revocations.list';
const KEY = 'list';

/** The last good one; undefined when there was none. Rejects, in words, when it cannot be read: nothing may be served without it. */
export async function loadList(state: State): Promise<KeptList | undefined> {
	const [entry] = await state.list(SPACE);
	if (entry === undefined) return undefined;
	const kept: unknown = JSON.parse(entry.value);
	if (typeof kept !== 'object' || kept === null) throw unreadable('it is no object');
	const { sequence, issued, key, url, etag, revocations }: Readonly<Record<string, unknown>> = { ...kept };
	if (typeof sequence !== 'number' || typeof issued !== 'number' || typeof key !== 'string')
		throw unreadable('a part of it is missing');
	if (!Array.isArray(revocations)) throw unreadable('a part of it is missing');
	return {
		sequence,
		issued,
		key,
		...(typeof url === 'string' ? { url } : {}),
		...(typeof etag === 'string' ? { etag } : {}),
		revocations: revocations.map(value => {
			const read = readRevocation(value);
			if ('broken' in read) throw unreadable(read.broken);
			return read;
		}),
	};
}

/** Rejects, in words, when it cannot be kept. */
export async function saveList(state: State, list: KeptList): Promise<void> {
	const value = JSON.stringify({ ...list, revocations: list.revocations.map(revocationJson) });
	await state.write(SPACE, [{ key: KEY, value }]);
}

const unreadable = (why: string): Error =>
	new Error(`the state holds a list of revocations that cannot be read: ${why}`);
