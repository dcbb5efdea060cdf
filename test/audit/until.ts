import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a condition; fails after ten seconds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
	for (let i = 0; i < 1000; i++) {
		if (await condition()) return;
		await sleep(10);
	}
	throw new Error('the condition did not come about');
}
