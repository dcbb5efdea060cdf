import { type Terminal, visible } from './terminal.ts';

/** Pieces of what `status` shows. */

/** A line that is marked. */
export const warn = (paint: Terminal['paint'], text: string): string =>
	`          ${paint('yellow', '!')} ${visible(text).replaceAll('\n', '\n            ')}\n`;

/** The beginning of a hash; anything else as it is. */
export const short = (revision: string): string =>
	/^[0-9a-f]{40,}$/.test(revision) ? revision.slice(0, 12) : revision;

/** Milliseconds until something ends. */
export const left = (milliseconds: number): string =>
	milliseconds > 0 ? `${lasting(milliseconds)} left` : `over for ${lasting(-milliseconds)}`;

export function lasting(milliseconds: number): string {
	const seconds = Math.max(0, Math.floor(milliseconds / 1000));
	if (!Number.isFinite(seconds)) return '?';
	if (seconds < 120) return `${seconds} s`;
	if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
	if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
	return `${Math.floor(seconds / 86_400)} days`;
}

export function sizeText(bytes: number): string {
	if (bytes < 1024) return `${bytes} B`;
	if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KiB`;
	return bytes < 1024 ** 3 ? `${(bytes / 1024 ** 2).toFixed(1)} MiB` : `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
