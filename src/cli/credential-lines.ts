import type { Status } from '../admin/status.ts';
import { warn } from './status-text.ts';
import { type Terminal, visible } from './terminal.ts';

/** What `status` says of the upstreams' credentials: how many there are, and what is wrong. */
export function credentialLines(credentials: Status['credentials'] = [], { paint }: Terminal): string[] {
	if (credentials.length === 0) return [];
	const valid = credentials.filter(one => one.valid).length;
	const lines = [`credentials  ${valid} of ${credentials.length} can be used\n`];
	for (const { upstream, credential, valid, sources } of credentials) {
		const name = `${upstream} ${credential}`;
		for (const { kind, from = '', problem, expires } of sources) {
			if (problem === undefined) continue;
			const until = expires === undefined ? '' : ` until ${expires}`;
			const rest = valid ? `; what was there before stays in use${until}` : '; calls with it are refused';
			lines.push(warn(paint, visible(`${name}: ${kind} ${from}: ${problem}${rest}`)));
		}
	}
	return lines;
}
