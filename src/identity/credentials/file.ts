import { type SecretUse, secretProblem, secretText } from '../../config/credential.ts';
import { type Watch, watchFiles } from '../../config/watch.ts';
import { readBytes } from '../read-file.ts';
import type { LivingValue, ValueDeps, ValueState } from './value.ts';

/** What a file holds. It is watched, through symbolic links; what cannot be used leaves what was read before in use. */
export class FileValue implements LivingValue {
	readonly kind = 'file';
	readonly from: string;
	readonly #use: SecretUse;
	readonly #deps: ValueDeps;
	#watch: Watch | undefined;
	#text: string | undefined;
	#since: number | undefined;
	#problem: string | undefined;
	#turn: Promise<void> = Promise.resolve();
	#closed = false;

	constructor(path: string, use: SecretUse, deps: ValueDeps) {
		this.from = path;
		this.#use = use;
		this.#deps = deps;
	}

	current(): string | undefined {
		return this.#text;
	}

	state(): ValueState {
		return {
			...(this.#since === undefined ? {} : { since: this.#since }),
			...(this.#problem === undefined ? {} : { problem: this.#problem }),
		};
	}

	async start(): Promise<void> {
		// Watched first and read then, so that no change falls between.
		const watch = await watchFiles([this.from], () => void this.#look());
		if (this.#closed) watch.close();
		else this.#watch = watch;
		await this.#look();
	}

	close(): void {
		this.#closed = true;
		this.#watch?.close();
	}

	#look(): Promise<void> {
		this.#turn = this.#turn.then(async () => {
			const bytes = await readBytes(this.from);
			if (this.#closed) return;
			const text = 'broken' in bytes ? undefined : secretText(bytes);
			const problem =
				'broken' in bytes ? bytes.broken : text === undefined ? 'is not UTF-8' : secretProblem(this.#use, text);
			const before = { text: this.#text, problem: this.#problem };
			this.#problem = problem;
			if (problem === undefined && text !== this.#text) {
				this.#text = text;
				this.#since = this.#deps.clock.now();
			}
			if (this.#text !== before.text || this.#problem !== before.problem) this.#deps.news();
		});
		return this.#turn;
	}
}
