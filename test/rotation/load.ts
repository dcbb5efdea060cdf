/** Work that is done over and over, several kinds side by side, and what became of it. */
export class Load {
	/** What failed, in words. */
	readonly failures: string[] = [];
	readonly #done = new Map<string, number>();
	readonly #loops: Promise<void>[] = [];
	#stopped = false;

	/** Does it again and again until `stop`. */
	run(what: string, work: () => Promise<void>): void {
		this.#done.set(what, 0);
		const loop = async (): Promise<void> => {
			while (!this.#stopped) {
				try {
					await work();
					this.#done.set(what, (this.#done.get(what) ?? 0) + 1);
				} catch (error) {
					this.failures.push(`${what}: ${error instanceof Error ? `${error.message} ${error.stack}` : String(error)}`);
					return;
				}
				// Others have their turn too.
				await new Promise(resolve => setImmediate(resolve));
			}
		};
		this.#loops.push(loop());
	}

	counts(): ReadonlyMap<string, number> {
		return new Map(this.#done);
	}

	/** Whether every kind was done a few times since: what was under way then is over. */
	all(since: ReadonlyMap<string, number>): boolean {
		return [...this.#done].every(([what, done]) => done >= (since.get(what) ?? 0) + 4);
	}

	async stop(): Promise<void> {
		this.#stopped = true;
		await Promise.all(this.#loops);
	}

	told(): string {
		const counts = [...this.#done].map(([what, done]) => `${done} ${what}`);
		return `${counts.join(', ')}; ${this.failures.length} failed`;
	}
}
