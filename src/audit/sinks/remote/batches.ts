import { lineHead } from '../../reader.ts';
import type { Delivery, SetAside } from '../sink.ts';
import { Untaken } from './upload.ts';

const LF = 10;

/** After so many refused records of one delivery, and none taken, the sink is wrong and not the records. */
const REFUSED_IN_A_ROW = 64;

/** What became of a body. */
export type Sent =
	/** Records that are in it. */
	| { readonly taken: number }
	/** It holds something that the sink never takes; `answer` says what it said, in our words. */
	| { readonly refused: string };

export interface BatchesOptions {
	/** Sends the lines from `from` to `to`, or fewer: how far it came, and what became of those. Rejects to be tried again. */
	send(lines: Buffer, from: number, to: number): Promise<Sent & { readonly end: number }>;
	/** Records that the sink refuses for good, although it takes others. */
	setAside(records: readonly SetAside[]): void;
}

/**
 * Hands a delivery over in bodies. A body that is refused for what is in it is halved until it is clear which record it
 * is. That one is set aside once the sink took another one of the same delivery: a sink that takes none is not set up
 * right, and everything is kept for it.
 */
export class Batches {
	readonly #o: BatchesOptions;
	/** Everything up to this record was taken or set aside in this run. */
	#done = 0;

	constructor(options: BatchesOptions) {
		this.#o = options;
	}

	async deliver({ lines }: Delivery): Promise<void> {
		let refused: SetAside[] = [];
		let taken = 0;
		const one = async (from: number, to: number): Promise<number> => {
			const sent = await this.#o.send(lines, from, to);
			if ('taken' in sent) {
				taken += sent.taken;
				return sent.end;
			}
			const half = middle(lines, from, sent.end);
			if (half === undefined) {
				refused.push({ ...whatIs(lines.subarray(from, sent.end - 1)), answer: sent.refused });
				if (taken === 0 && refused.length >= REFUSED_IN_A_ROW) throw nothingTaken(refused);
				return sent.end;
			}
			for (let at = from; at < half; ) at = await one(at, half);
			for (let at = half; at < sent.end; ) at = await one(at, sent.end);
			return sent.end;
		};
		for (let at = this.#rest(lines); at < lines.length; ) {
			at = await one(at, lines.length);
			if (taken === 0) continue;
			if (refused.length > 0) this.#o.setAside(refused);
			refused = [];
			this.#done = seqOf(lines, at);
		}
		if (refused.length > 0) throw nothingTaken(refused);
	}

	/** Where that begins which was not taken when the same delivery failed before. */
	#rest(lines: Buffer): number {
		let at = 0;
		while (this.#done > 0 && at < lines.length) {
			const lf = lines.indexOf(LF, at);
			if ((lineHead(lines.subarray(at, lf))?.seq ?? Number.POSITIVE_INFINITY) > this.#done) break;
			at = lf + 1;
		}
		return at;
	}
}

const nothingTaken = ([first]: readonly SetAside[]): Untaken =>
	new Untaken(`it refuses every record: ${first?.answer ?? ''}`);

/** The end of a line near the middle; undefined when there is one line only. */
function middle(lines: Buffer, from: number, end: number): number | undefined {
	const before = lines.lastIndexOf(LF, from + Math.floor((end - from) / 2));
	const half = before >= from ? before + 1 : lines.indexOf(LF, from) + 1;
	return half < end ? half : lines.lastIndexOf(LF, end - 2) >= from ? lines.lastIndexOf(LF, end - 2) + 1 : undefined;
}

/** Of the last line before `end`. */
function seqOf(lines: Buffer, end: number): number {
	const before = end < 2 ? -1 : lines.lastIndexOf(LF, end - 2);
	return lineHead(lines.subarray(before + 1, end - 1))?.seq ?? 0;
}

function whatIs(line: Buffer): { readonly seq: number; readonly own: boolean } {
	return { seq: lineHead(line)?.seq ?? 0, own: line.includes('"action":"sink_refused"') };
}
