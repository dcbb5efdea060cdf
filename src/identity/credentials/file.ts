import { type SecretUse, secretProblem, secretText } from '../../config/secret-text.ts';
import { type Watch, watchFiles } from '../../config/watch.ts';
import { readBytes } from '../read-file.ts';
import type { LivingSource, LivingValue, ValueDeps, ValueState } from './value.ts';

/** One file, and what its text is used as. */
export interface SecretFile {
	readonly path: string;
	readonly use: SecretUse;
}

/** How often files that change while they are read are read again. */
const TRIES = 10;

/**
 * The files of one entry, watched through symbolic links and taken over together: a user name never meets the password of
 * another. What cannot be used leaves all of what was read before in use.
 */
export class SecretFiles implements LivingSource {
	readonly kind = 'file';
	readonly from: string;
	readonly values: readonly LivingValue[];
	readonly #files: readonly SecretFile[];
	readonly #deps: ValueDeps;
	#watch: Watch | undefined;
	#texts: readonly string[] | undefined;
	#since: number | undefined;
	#problem: string | undefined;
	#turn: Promise<void> = Promise.resolve();
	#closed = false;

	constructor(files: readonly SecretFile[], deps: ValueDeps) {
		this.#files = files;
		this.#deps = deps;
		this.from = files.map(({ path }) => path).join(', ');
		this.values = files.map(({ path }, index) => ({
			kind: 'file',
			from: path,
			current: () => this.#texts?.[index],
			state: () => this.state(),
		}));
	}

	state(): ValueState {
		return {
			...(this.#since === undefined ? {} : { since: this.#since }),
			...(this.#problem === undefined ? {} : { problem: this.#problem }),
		};
	}

	async start(): Promise<void> {
		// Watched first and read then, so that no change falls between.
		const paths = this.#files.map(({ path }) => path);
		const watch = await watchFiles(paths, () => void this.#look());
		if (this.#closed) watch.close();
		else this.#watch = watch;
		await this.#look();
	}

	refresh(): Promise<void> {
		return this.#look();
	}

	close(): void {
		this.#closed = true;
		this.#watch?.close();
	}

	#look(): Promise<void> {
		this.#turn = this.#turn.then(async () => {
			const found = await this.#readStable();
			if (this.#closed) return;
			const problem = 'broken' in found ? found.broken : undefined;
			const renewed = 'texts' in found && !same(found.texts, this.#texts);
			if (renewed) {
				this.#texts = found.texts;
				this.#since = this.#deps.clock.now();
			}
			const news = renewed || problem !== this.#problem;
			this.#problem = problem;
			if (news) this.#deps.news();
		});
		return this.#turn;
	}

	/** Reads until two readings are the same: the files may be exchanged between one and the next. */
	async #readStable(): Promise<Reading> {
		let before = await this.#read();
		if (this.#files.length === 1) return before;
		for (let tries = 0; tries < TRIES; tries++) {
			const now = await this.#read();
			if ('texts' in now && 'texts' in before ? same(now.texts, before.texts) : 'broken' in now && 'broken' in before)
				return now;
			before = now;
		}
		return { broken: 'changes while it is read' };
	}

	async #read(): Promise<Reading> {
		const texts: string[] = [];
		for (const { path, use } of this.#files) {
			const bytes = await readBytes(path);
			if ('broken' in bytes) return bytes;
			const text = secretText(bytes);
			if (text === undefined) return { broken: `${path} is not UTF-8` };
			const problem = secretProblem(use, text);
			if (problem !== undefined) return { broken: `${path} ${problem}` };
			texts.push(text);
		}
		return { texts };
	}
}

type Reading = { readonly texts: readonly string[] } | { readonly broken: string };

const same = (one: readonly string[], other: readonly string[] | undefined): boolean =>
	one.length === other?.length && one.every((text, index) => text === other[index]);
