import { hash } from 'node:crypto';
import { hostPortText } from '../../formats/host-port.ts';
import type { CallFacts, Effect } from '../../model/call.ts';

/** One line of an upstream's `effects`; the first that matches wins. */
export interface EffectRule {
	readonly methods?: readonly string[] | undefined;
	/** Prefix of whole segments. */
	readonly path?: string | undefined;
	readonly effect: Effect;
}

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

const STRICTNESS: Readonly<Record<Effect, number>> = { read: 0, unknown: 1, write: 2 };

/** Parameters (`/run;a=b`) are dropped by some servers and not by others: the stricter of both readings counts. */
export function effectOf(method: string, path: string, rules: readonly EffectRule[] | undefined): Effect {
	const whole = effectOfPath(method, path, rules);
	if (!path.includes(';')) return whole;
	const bare = effectOfPath(method, path.replaceAll(/;[^/]*/g, ''), rules);
	return STRICTNESS[bare] > STRICTNESS[whole] ? bare : whole;
}

function effectOfPath(method: string, path: string, rules: readonly EffectRule[] | undefined): Effect {
	for (const rule of rules ?? []) {
		if (rule.methods !== undefined && !rule.methods.includes(method)) continue;
		if (
			rule.path !== undefined &&
			path !== rule.path &&
			!path.startsWith(rule.path.endsWith('/') ? rule.path : `${rule.path}/`)
		)
			continue;
		return rule.effect;
	}
	return READS.has(method) ? 'read' : 'write';
}

/**
 * The facts of one HTTP call. The digest covers method, authority, path, query and, where it was read whole, the
 * body: what makes it the same call when it is sent again. `credential` is the upstream's entry that is used.
 */
export function httpCall(
	method: string,
	authority: string,
	path: string,
	query: string | undefined,
	effect: Effect,
	body: Buffer | undefined,
	credential?: string,
): CallFacts {
	const head = `${method} ${authority} ${path}${query === undefined ? '' : `?${query}`}\n`;
	return {
		protocol: 'http',
		operation: method,
		resource: path,
		effect,
		digest:
			body === undefined ? hash('sha256', head) : hash('sha256', Buffer.concat([Buffer.from(head, 'latin1'), body])),
		record: credential === undefined ? { method, path } : { method, path, credential },
	};
}

/** The facts of a tunnel: what is in it stays unknown. */
export const tunnelCall = (host: string, port: number): CallFacts => ({
	protocol: 'tunnel',
	operation: 'connect',
	resource: hostPortText(host, port),
	effect: 'unknown',
});
