const STEP = 10;

/** Waits for a condition by asking again and again: undefined, null and false mean not yet. Rejects with `what` after the limit. */
export async function until<T>(
	condition: () => T | Promise<T>,
	what: string,
	limit = 15_000,
): Promise<Exclude<T, undefined | null | false>> {
	const deadline = performance.now() + limit;
	for (;;) {
		const found = await condition();
		if (found !== undefined && found !== null && found !== false) return found as Exclude<T, undefined | null | false>;
		if (performance.now() > deadline) throw new Error(`after ${limit} ms still not so: ${what}`);
		await new Promise(resolve => setTimeout(resolve, STEP));
	}
}
