import { readFileSync } from 'node:fs';

/** Gives back memory that the process holds and does not use. */
export interface ResidentMemory {
	/** After the start: gives back what only that needed, now and a few times in the minute after. */
	settle(): void;
	/** After what happens while calls are served: the same, when there are few of them. */
	settleWhenIdle(): void;
	close(): void;
}

/** A range of addresses. */
interface Range {
	readonly start: bigint;
	readonly length: bigint;
}

/** <asm-generic/mman-common.h>, which is what x86-64 and arm64 use. */
const MADV_DONTNEED = 4;

/** When it is done, milliseconds after the start: by then V8 has compiled what the first calls need. */
const PASSES = [0, 2_000, 10_000, 60_000];
/** And after something else. Busy is who spent more than this share of the second before. */
const IDLE_PASSES = [2_000, 10_000, 60_000];
const WATCHED = 1_000;
const BUSY = 0.1;

/**
 * Of Node's 120 MB program, starting and compiling read 50 that no call looks at again, and freed memory stays with the
 * allocator. A pass gives both back in 2 ms (malloc_trim(3), madvise(2)); a page that is needed after all comes back
 * from the page cache. Pages of the program that were written, by relocations say, are left alone. Where the kernel or
 * the C library is another one, it does less, or nothing.
 */
export function openResidentMemory(): ResidentMemory {
	const timers = new Set<NodeJS.Timeout>();
	let opened: Promise<(() => void) | undefined> | undefined;
	// Found when it is first needed, so that no start waits for it. What saves memory only must not end anything either.
	const pass = async (): Promise<void> => {
		opened ??= openPass().catch(() => undefined);
		(await opened)?.();
	};
	const close = (): void => {
		for (const timer of timers) clearTimeout(timer);
		timers.clear();
	};
	const later = (after: number, run: () => void): void => {
		const timer = setTimeout(() => {
			timers.delete(timer);
			run();
		}, after).unref();
		timers.add(timer);
	};
	const whenIdle = (): void => {
		const before = performance.eventLoopUtilization();
		later(WATCHED, () => {
			if (performance.eventLoopUtilization(before).utilization > BUSY) later(IDLE_PASSES.at(-1) ?? 0, whenIdle);
			else void pass();
		});
	};
	const settle = (passes: readonly number[], run: () => void): void => {
		close();
		if (process.platform !== 'linux') return;
		for (const after of passes) later(after, run);
	};
	return {
		settle: () => settle(PASSES, () => void pass()),
		settleWhenIdle: () => settle(IDLE_PASSES, whenIdle),
		close,
	};
}

async function openPass(): Promise<() => void> {
	const { default: koffi } = await import('koffi');
	const libc = koffi.load(null);
	const find = (prototype: string): ((...values: readonly unknown[]) => unknown) => {
		try {
			const found: unknown = libc.func(prototype);
			if (typeof found === 'function') return (...values) => found(...values);
		} catch {
			// Another C library, which has no such function.
		}
		return () => undefined;
	};
	const trim = find('int malloc_trim(size_t pad)');
	const advise = find('int madvise(uint64_t address, size_t length, int advice)');
	const program = unwritten(readFileSync('/proc/self/smaps', 'latin1'), process.execPath);
	return () => {
		trim(0);
		for (const { start, length } of program) advise(start, length, MADV_DONTNEED);
	};
}

/**
 * Where the file is mapped, cannot be written, and no page was written before (proc_pid_smaps(5)): such a page is anonymous.
 * `Private_Dirty` counts those, too, that are on their way to the disk, as all are of an image that was just unpacked.
 */
function unwritten(smaps: string, file: string): Range[] {
	const found: Range[] = [];
	for (const mapping of smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
		const [head, ...facts] = mapping.split('\n');
		const [, from, to, path] = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p [0-9a-f]+ \S+ \d+ +(\/.*)$/.exec(head ?? '') ?? [];
		if (path !== file || facts.some(fact => /^(Anonymous|Swap|Locked): +[1-9]/.test(fact))) continue;
		const start = BigInt(`0x${from}`);
		found.push({ start, length: BigInt(`0x${to}`) - start });
	}
	return found;
}
