import { readFileSync } from 'node:fs';

/** Resident memory of a process, bytes (proc_pid_status(5)). */
export function residentOf(pid: number): number {
	const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
	if (found === null) throw new Error(`/proc/${pid}/status says no VmRSS`);
	return Number(found[1]) * 1024;
}

/** Looks at it over and over while something goes on, and keeps the greatest. */
export function watchResident(pid: number): { greatest(): number; stop(): void } {
	let greatest = residentOf(pid);
	const look = (): void => {
		greatest = Math.max(greatest, residentOf(pid));
	};
	const timer = setInterval(look, 20);
	return {
		greatest() {
			look();
			return greatest;
		},
		stop: () => clearInterval(timer),
	};
}
