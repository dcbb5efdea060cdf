import { closeSync, fdatasync, ftruncateSync, openSync, writeSync } from 'node:fs';

/** The system calls of the spool, so that tests can let them fail. */
export interface SpoolIo {
	/** For appending. */
	open(path: string): number;
	/** As write(2): may write less than it was given. */
	write(fd: number, buffer: Uint8Array, offset: number, length: number): number;
	truncate(fd: number, length: number): void;
	sync(fd: number, done: (error: Error | null) => void): void;
	close(fd: number): void;
}

export const spoolIo: SpoolIo = {
	open: path => openSync(path, 'a', 0o640),
	write: (fd, buffer, offset, length) => writeSync(fd, buffer, offset, length),
	truncate: (fd, length) => ftruncateSync(fd, length),
	sync: (fd, done) => fdatasync(fd, done),
	close: fd => closeSync(fd),
};

/** The code of a failed system call, or what the error says. */
export function codeOf(error: unknown): string {
	if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
	return error instanceof Error ? error.message : String(error);
}
