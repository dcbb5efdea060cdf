import type { ServerResponse } from 'node:http';

/** Problem details (RFC 9457). `title` and `detail` reach whoever asked: no secrets in them. */
export interface ProblemDetails {
	readonly status: number;
	/** `urn:sallyport:…`; `about:blank` when the status says it all (RFC 9457 §4.2.1). */
	readonly type?: string;
	readonly title: string;
	readonly detail?: string;
	readonly more?: Readonly<Record<string, unknown>>;
}

export function answerJson(response: ServerResponse, status: number, value: unknown): void {
	answer(response, status, 'application/json', value, []);
}

export function answerProblem(
	response: ServerResponse,
	{ status, type = 'about:blank', title, detail, more }: ProblemDetails,
	headers: readonly string[] = [],
): void {
	answer(
		response,
		status,
		'application/problem+json',
		{ type, title, status, ...(detail === undefined ? {} : { detail }), ...more },
		headers,
	);
}

/** One request per connection: who asks is judged each time. */
function answer(
	response: ServerResponse,
	status: number,
	type: string,
	value: unknown,
	headers: readonly string[],
): void {
	if (response.destroyed || response.headersSent) return;
	const body = Buffer.from(`${JSON.stringify(value)}\n`);
	response.writeHead(status, [
		'content-type',
		type,
		'content-length',
		String(body.length),
		'cache-control',
		'no-store',
		'connection',
		'close',
		...headers,
	]);
	response.end(body);
}
