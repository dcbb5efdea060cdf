import { isIP } from 'node:net';
import { type Refused, refused } from '../../model/cause.ts';
import { type Target, target } from '../../model/target.ts';
import type { Head } from '../../protocols/http/head.ts';
import type { Original } from '../http/callers.ts';
import type { Routed } from '../http/exchange.ts';
import type { Route, Router } from '../upstream/route.ts';

const HTTP_PORT = 80;

/**
 * Where a request on a captured connection goes: to the host that it names, which is a claim until the dialler has seen
 * that it has the address which the agent connected to.
 */
export function aimRequest(head: Head, original: Original, router: Router): Routed | Refused {
	const { target: named, host: authority } = head;
	if (named.form === 'asterisk') return refused('undecodable', 'the asterisk form is not taken');
	if (named.form === 'absolute' && named.scheme !== 'http')
		return refused('target_mismatch', 'https:// in a request in the clear');
	const { host } = authority;
	const port = authority.port ?? HTTP_PORT;
	if (port !== original.port)
		return refused('target_mismatch', `Host names port ${port}, and the agent connected to port ${original.port}`);
	if (isIP(host) !== 0 && host !== original.address)
		return refused('target_mismatch', `Host names ${host}, and the agent connected to ${original.address}`);
	const found = router.forRequest('http', host, port);
	if ('mismatch' in found) return refused('target_mismatch', found.mismatch);
	const route: Route = { ...found, target: target({ ...found.target, address: original.address }) };
	return { route, scheme: found.upstream?.config.tls === undefined ? 'http' : 'https' };
}

/** Stands in records for the target of a request that could not be aimed. */
export const unaimed = ({ address, port }: Original): Target =>
	target({ host: address, port, protocol: 'http', tls: false, address });
