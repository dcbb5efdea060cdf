import { lineHead } from '../../reader.ts';
import type { Delivery, SetAside } from '../sink.ts';
import { type Sent, Untaken } from './sent.ts';

const LF = 10;

/** After so many refused records of one delivery, and none taken, the sink is wrong and not the records. */
const REFUSED_IN_A_ROW = 64;

export interface BatchesOptions {
	/** Sends the lines from `from` to `to`, or fewer: how far it came, and what became of those. Rejects to be tried again. */
	send(lines: Buffer, from: number, to: number): Promise<Sent & { readonly end: number }>;
	/** Records that the sink refuses for good, although it takes others. */
	setAside(records: readonly SetAside[]): void;
}

/**
 * Hands a delivery over in bodies. A body that is refused for what is in it is halved until it is clear which record it
 * is. That one is set aside if it is refused after the sink took another one of the same delivery: a sink that takes none
 * is not set up right, and everything is kept for it.
 */
export class Batches {
	readonly #o: BatchesOptions;
	/** Everything up to this record was taken or set aside in this run. */
	#done = 0;

	constructor(options: BatchesOptions) {
		this.#o = options;
	}

	async deliver({ lines }: Delivery): Promise<void> {
		let refused: Refused[] = [];
		let taken = 0;
		const one = async (from: number, to: number): Promise<number> => {
			const sent = await this.#o.send(lines, from, to);
			if ('taken' in sent) {
				taken += sent.taken;
				return sent.end;
			}
			const half = middle(lines, from, sent.end);
			if (half === undefined) {
				const record = { ...whatIs(lines.subarray(from, sent.end - 1)), answer: sent.refused };
				refused.push({ record, from, end: sent.end, sure: taken > 0 });
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
			const aside: SetAside[] = [];
			for (const { record, from, end, sure } of refused) {
				// Between its refusal and the first record that was taken the sink may have been mended.
				if (sure || 'refused' in (await this.#o.send(lines, from, end))) aside.push(record);
			}
			if (aside.length > 0) this.#o.setAside(aside);
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

interface Refused {
	readonly record: SetAside;
	readonly from: number;
	readonly end: number;
	/** The sink had taken another one before. */
	readonly sure: boolean;
}

const nothingTaken = ([first]: readonly Refused[]): Untaken =>
	new Untaken(`it refuses every record: ${first?.record.answer ?? ''}`);

/** The end of a line near the middle; undefined when there is one line only. */
function middle(lines: Buffer, from: number, end: number): number | undefined {
	const before = lines.lastIndexOf(LF, from + Math.floor((end - from) / 2));
	const half = before >= from ? before + 1 : lines.indexOf(LF, from) + 1;
	return half < end ? half : lines.lastIndexOf(LF, end - 2) >= from ? lines.lastIndexOf(LF, end - 2) + 1 : undefined;
}

/** Of the first line. */
export const firstSeq = (lines: Buffer): number => lineHead(lines.subarray(0, lines.indexOf(LF)))?.seq ?? 0;

/** Of the last line before `end`. */
function seqOf(lines: Buffer, end: number): number {
	const before = end < 2 ? -1 : lines.lastIndexOf(LF, end - 2);
	return lineHead(lines.subarray(before + 1, end - 1))?.seq ?? 0;
}

function whatIs(line: Buffer): { readonly seq: number; readonly own: boolean } {
	return { seq: lineHead(line)?.seq ?? 0, own: line.includes('"action":"sink_refused"') };
}
