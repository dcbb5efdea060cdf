import { jsonLine, type Terminal, visible } from '../terminal.ts';

/** What one call came to, as told to people and programs. */
export interface Told {
	readonly verdict: string;
	readonly cause?: string;
	/** Why, in words. */
	readonly why: string;
	readonly decisionId?: string;
}

/** What an agent got for it. */
export interface Came {
	/** `200`, `403`, `FATAL`. */
	readonly mark: string;
	readonly text: string;
	/** What should have been otherwise; empty when everything is as the demo says. */
	readonly wrong: readonly string[];
}

const LABEL = 11;

/** Says what happens: short lines for a person, JSON lines for a program. */
export class Telling {
	readonly #terminal: Terminal;
	readonly #json: boolean;
	#wrong = 0;
	#calls = 0;
	#over = false;
	#silent = false;

	constructor(terminal: Terminal, json: boolean) {
		this.#terminal = terminal;
		this.#json = json;
	}

	/** Says nothing from here on. */
	silence(): void {
		this.#silent = true;
	}

	/** How many things did not go as told. */
	get wrong(): number {
		return this.#wrong;
	}

	get calls(): number {
		return this.#calls;
	}

	/** Whether the last word was said. */
	get over(): boolean {
		return this.#over;
	}

	/** The last word, with the seconds it took. */
	end(seconds: number): void {
		this.#over = true;
		if (this.#json) {
			this.#emit('end', { as_told: this.#wrong === 0, calls: this.#calls, wrong: this.#wrong, seconds });
			return;
		}
		const { paint } = this.#terminal;
		const all = `${this.#calls} calls, ${seconds.toFixed(1)} s`;
		const word =
			this.#wrong === 0
				? paint('green', 'Everything went as told')
				: paint('red', `${this.#wrong} ${this.#wrong === 1 ? 'thing' : 'things'} did not go as told`);
		this.#out(`\n${word}: ${all}.\n`);
	}

	heading(text: string): void {
		if (!this.#json) this.#out(`\n${this.#terminal.paint('bold', text)}\n`);
	}

	/** Something is there now. */
	part(label: string, text: string): void {
		if (this.#json) this.#emit('part', { part: label, text });
		else this.#line(label, 'dim', text);
	}

	/** What an agent is about to do; followed by {@link decided} and {@link came}. */
	tries(agent: string, what: string, how: string): void {
		if (this.#json) return;
		const { paint } = this.#terminal;
		this.#out(`\n  ${paint('bold', agent.padEnd(LABEL))} ${visible(what)}  ${paint('dim', `(${how})`)}\n`);
	}

	decided({ verdict, cause, why }: Told): void {
		if (this.#json) return;
		const colour = verdict === 'allow' ? 'green' : verdict === 'ask' ? 'yellow' : 'red';
		this.#line(verdict, colour, cause === undefined ? why : `${cause}: ${why}`);
	}

	came(agent: string, what: string, told: Told, came: Came): void {
		this.#calls++;
		this.#wrong += came.wrong.length;
		if (this.#json) {
			const { verdict, cause, why, decisionId } = told;
			this.#emit('call', {
				agent,
				tried: what,
				verdict,
				...(cause === undefined ? {} : { cause }),
				why,
				...(decisionId === undefined ? {} : { decision_id: decisionId }),
				came: came.mark,
				text: came.text,
				as_told: came.wrong.length === 0,
				...(came.wrong.length === 0 ? {} : { wrong: came.wrong }),
			});
			return;
		}
		this.#line(came.mark, 'dim', came.text);
		for (const text of came.wrong) this.#line('NOT AS TOLD', 'red', text);
	}

	/** A command and what it said. */
	command(
		words: string,
		said: readonly string[],
		facts: Readonly<Record<string, unknown>>,
		wrong: readonly string[],
	): void {
		this.#wrong += wrong.length;
		if (this.#json) {
			this.#emit('command', {
				command: words,
				said,
				...facts,
				as_told: wrong.length === 0,
				...(wrong.length === 0 ? {} : { wrong }),
			});
			return;
		}
		this.#out(`\n  $ ${visible(words)}\n`);
		for (const line of said) this.#out(`    ${visible(line)}\n`);
		for (const text of wrong) this.#line('NOT AS TOLD', 'red', text);
	}

	/** Lines of a file that were added. */
	added(file: string, lines: readonly string[]): void {
		if (this.#json) {
			this.#emit('edit', { file, added: lines });
			return;
		}
		this.#line(file, 'dim', '');
		for (const line of lines) this.#out(`    ${this.#terminal.paint('green', `+ ${line}`)}\n`);
	}

	/** Something that went wrong, or was left out, beside the calls. */
	failed(text: string): void {
		this.#wrong++;
		if (this.#json) this.#emit('failed', { text });
		else this.#line('!', 'yellow', text);
	}

	/** For people only. */
	plain(text: string): void {
		if (!this.#json) this.#out(`${text}\n`);
	}

	/** For programs only. */
	emit(event: string, facts: Readonly<Record<string, unknown>>): void {
		if (this.#json) this.#emit(event, facts);
	}

	#out(text: string): void {
		if (!this.#silent) this.#terminal.out(text);
	}

	#emit(event: string, facts: Readonly<Record<string, unknown>>): void {
		this.#out(jsonLine({ event, ...facts }));
	}

	#line(label: string, colour: 'green' | 'red' | 'yellow' | 'dim', text: string): void {
		this.#out(`  ${this.#terminal.paint(colour, label.padEnd(LABEL))} ${visible(text)}`.trimEnd());
		this.#out('\n');
	}
}
