import { readFileSync } from 'node:fs';
import type { Result } from './probe.ts';

/** Capabilities by which a process gets around rules of the packet filter, and their numbers (<linux/capability.h>). */
const WAYS_AROUND: readonly (readonly [name: string, bit: bigint])[] = [
	['CAP_SETUID', 7n],
	['CAP_NET_ADMIN', 12n],
	['CAP_NET_RAW', 13n],
	['CAP_SYS_PTRACE', 19n],
	['CAP_SYS_ADMIN', 21n],
];

/** Whether a process with this `/proc/PID/status` (proc(5)) could lift the rules, or become Sallyport's user. */
export function judgeCapabilities(status: string): Result {
	const mask = (key: string): bigint =>
		BigInt(`0x${new RegExp(`^${key}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0'}`);
	const named = (set: bigint): string[] =>
		WAYS_AROUND.filter(([, bit]) => ((set >> bit) & 1n) === 1n).map(([name]) => name);
	const held = named(mask('CapEff') | mask('CapPrm'));
	if (held.length > 0) return { found: 'open', detail: `this process has ${held.join(', ')}` };
	const gained = /^NoNewPrivs:\s*1$/m.test(status) ? [] : named(mask('CapBnd'));
	return gained.length > 0
		? { found: 'open', detail: `a setuid program could give ${gained.join(', ')}: set allowPrivilegeEscalation: false` }
		: { found: 'closed', detail: 'none that gets around the rules' };
}

export const ownCapabilities = (): Result => judgeCapabilities(readFileSync('/proc/self/status', 'utf8'));
