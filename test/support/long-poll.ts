import type { ServerResponse } from 'node:http';

/** Holds an answer back until there is something new, or says after so many seconds that there is nothing (RFC 7240 §4.3). */
export function holdBack(response: ServerResponse, seconds: number, waiting: Set<ServerResponse>): void {
	waiting.add(response);
	const timer = setTimeout(() => {
		waiting.delete(response);
		response.writeHead(304).end();
	}, seconds * 1000);
	response.on('close', () => {
		waiting.delete(response);
		clearTimeout(timer);
	});
}
