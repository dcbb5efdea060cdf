import type { AnswerHead } from '../../protocols/http/answer-head.ts';
import type { RawHeaders } from '../../protocols/http/headers.ts';

/** What is shorter stands in answers by chance. */
const SHORTEST = 6;
const MASKED = '**';

/** The head of an answer without the credential that the request was sent with: an upstream may repeat what it was sent. */
export function withoutEcho(head: AnswerHead, secrets: readonly string[]): AnswerHead {
	if (secrets.length === 0) return head;
	const list = fieldsWithoutEcho(head.list, secrets);
	const phrase = masked(head.phrase, secrets);
	return list === head.list && phrase === head.phrase ? head : { ...head, list: [...list], phrase };
}

/** The same for a list of fields; the same list when there is nothing to mask. */
export function fieldsWithoutEcho(list: RawHeaders, secrets: readonly string[]): RawHeaders {
	let found = false;
	for (const text of list) found ||= secrets.some(secret => secret.length >= SHORTEST && text.includes(secret));
	return found ? list.map(text => masked(text, secrets)) : list;
}

const masked = (text: string, secrets: readonly string[]): string =>
	secrets.reduce((rest, secret) => (secret.length < SHORTEST ? rest : rest.replaceAll(secret, MASKED)), text);
