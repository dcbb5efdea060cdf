import type { ShownRevocations } from '../admin/revocations-status.ts';
import { lasting, warn } from './status-text.ts';
import { type Terminal, table } from './terminal.ts';

/** What `status` shows of revocations: how many, and how the list is that the fleet follows. */
export function revocationLines(
	revocations: ShownRevocations | undefined,
	{ paint }: Terminal,
	now: number,
): readonly string[] {
	if (revocations === undefined) return [];
	const { in_force: count, by_operators: own, list } = revocations;
	const rows = [['revoked ', count === 0 ? 'nobody' : `${count} in force, ${own} by operators of this Sallyport`]];
	if (list === undefined) return [table(rows)];
	const { from, sequence, issued, problem, stale } = list;
	const age = issued === undefined ? 'none yet' : `number ${sequence}, ${lasting(now - Date.parse(issued))} old`;
	rows.push(['', `list: ${age}, from ${from}`]);
	const lines = [table(rows)];
	if (stale === true)
		lines.push(warn(paint, 'the list is too old (identity.revocations.max_age): every call is refused'));
	if (problem !== undefined) lines.push(warn(paint, `the list was not taken: ${problem}`));
	return lines;
}
