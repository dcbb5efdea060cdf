import type { ShownIdentity } from '../admin/identity-status.ts';
import { left, short, warn } from './status-text.ts';
import { type Terminal, table } from './terminal.ts';

/** What `status` shows of the identity: the SVID, where it comes from, by which trust bundles peers are judged. */
export function identityLines(identity: ShownIdentity, { paint }: Terminal, now: number): string[] {
	const {
		id,
		not_after: notAfter,
		missing,
		problem,
		source,
		trust_bundles: bundles = [],
		own_id_shown: own,
	} = identity;
	const lines = [
		table([
			['identity', id ?? 'none: no handshake is served'],
			...(notAfter === undefined ? [] : [['', `until ${notAfter} (${left(Date.parse(notAfter) - now)})`]]),
			...(source === undefined ? [] : [['', sourceText(source)]]),
		]),
	];
	const mark = (text: string): void => void lines.push(warn(paint, text));
	if (missing !== undefined) mark(missing);
	if (problem !== undefined) mark(`the new SVID was not taken: ${problem}`);
	if (source?.problem !== undefined) mark(`the Workload API: ${source.problem}`);
	if (source?.jwt_problem !== undefined) mark(`keys for JWT-SVIDs: ${source.jwt_problem}`);
	if (source?.crls !== undefined) mark(`the Workload API sends ${source.crls} CRLs, which are not evaluated`);
	if (own !== undefined)
		mark(
			`Sallyport's own id was shown to it ${own.count} times, last at ${own.last} (serial ${own.serial}): ` +
				'unless instances are chained, somebody else holds its key',
		);
	lines.push(
		'trust bundles\n',
		table(
			bundles.map(bundle => [
				bundle.trust_domain,
				bundle.cas === undefined ? 'none: not trusted' : `${bundle.cas} ${bundle.cas === 1 ? 'CA' : 'CAs'}`,
				bundle.revision === undefined ? '' : short(bundle.revision),
				`${bundle.source} ${bundle.from}`,
				bundle.refreshed === undefined ? '' : `seen ${bundle.refreshed}`,
			]),
			'          ',
		),
	);
	for (const bundle of bundles)
		if (bundle.problem !== undefined) mark(`trust bundle of ${bundle.trust_domain}: ${bundle.problem}`);
	return lines;
}

function sourceText({ kind, from, connected, since }: ShownIdentity['source']): string {
	if (kind !== 'workload_api') return `from ${from}`;
	return `from the Workload API at ${from}, ${connected === true ? 'connected' : 'not connected'} since ${since ?? '?'}`;
}
