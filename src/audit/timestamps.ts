/** RFC 3339 in UTC with milliseconds. Keeps the second it made last, since most records share it. */
export class Timestamps {
	#second = Number.NaN;
	#prefix = '';

	text(ms: number): string {
		const second = Math.floor(ms / 1000);
		if (second !== this.#second) {
			this.#prefix = new Date(second * 1000).toISOString().slice(0, 20);
			this.#second = second;
		}
		const rest = Math.floor(ms - second * 1000);
		return `${this.#prefix}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`;
	}
}
