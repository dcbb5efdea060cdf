import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * One agent's token on disk: `DIRECTORY/NAME/token`, nothing but the token, and beside it `.previous` with the
 * SHA-256 of the one before, so that a restart forgets neither. Both are replaced by renaming, never written in place.
 *
 * Folders are made with 0700 and files with 0600. A folder that is there already keeps its mode, and if its group may
 * read it, so may the group read the token; others never. Below a folder with the set-group-ID bit, which hands its group
 * down (a volume of Kubernetes with `fsGroup`), they are made with 0750.
 */

export interface StoredToken {
	/** SHA-256 of the token, base64. The token itself is on disk and in the agent's hands only. */
	readonly hash: string;
	/** Milliseconds since the epoch. */
	readonly created: number;
	/** SHA-256 of the one before, base64, if it is known. */
	readonly previous?: string;
}

export interface TokenPlace {
	readonly directory: string;
	/** Last segment of the agent's SPIFFE ID. */
	readonly name: string;
}

/** 256 bits in base64url. */
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
const HASH = /^[A-Za-z0-9+/]{43}=$/;

export const hashOf = (token: string): string => createHash('sha256').update(token).digest('base64');

/** The first 16 digits of the SHA-256, lower-case hex: what names a token where it must not be shown itself. */
export const fingerprintOf = (hash: string): string => Buffer.from(hash, 'base64').toString('hex').slice(0, 16);

export const tokenPath = ({ directory, name }: TokenPlace): string => join(directory, name, 'token');

/**
 * Takes the token that is there if it is a good one, younger than `rotate` (zero: whatever its age) and not `dead`, else
 * makes a new one, of which `coming` is told before anybody can read it. Rejects when the folder or file cannot be written.
 */
export async function keepToken(
	place: TokenPlace,
	now: number,
	rotate: number,
	dead: (hash: string) => boolean = () => false,
	coming: (hash: string) => void = () => {},
): Promise<StoredToken> {
	const folder = join(place.directory, place.name);
	await mkdir(folder, { recursive: true, mode: (await handsGroupDown(place.directory)) ? 0o750 : 0o700 });
	const there = await readOwn(join(folder, 'token'), TOKEN);
	const previous = await readOwn(join(folder, '.previous'), HASH);
	if (there !== undefined) {
		const created = Math.min(there.modified, now);
		const hash = hashOf(there.text);
		if (!dead(hash) && (rotate === 0 || now - created < rotate)) {
			return previous === undefined || previous.text === hash
				? { hash, created }
				: { hash, created, previous: previous.text };
		}
		await replace(folder, '.previous', hash, now);
	}
	const token = randomBytes(32).toString('base64url');
	const hash = hashOf(token);
	coming(hash);
	await replace(folder, 'token', token, now);
	return { hash, created: now, ...(there === undefined ? {} : { previous: hashOf(there.text) }) };
}

const SET_GROUP_ID = 0o2000;

const handsGroupDown = async (folder: string): Promise<boolean> => {
	try {
		return ((await stat(folder)).mode & SET_GROUP_ID) !== 0;
	} catch {
		return false;
	}
};

/** The text of a file that nobody else could have written; undefined when there is none, or it is not as it should be. */
async function readOwn(path: string, shape: RegExp): Promise<{ text: string; modified: number } | undefined> {
	let file: Awaited<ReturnType<typeof open>>;
	try {
		file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
	} catch {
		return undefined;
	}
	try {
		const facts = await file.stat();
		if (!facts.isFile() || facts.size > 64 || facts.uid !== process.geteuid?.() || (facts.mode & 0o022) !== 0)
			return undefined;
		const text = await file.readFile('latin1');
		return shape.test(text) ? { text, modified: Math.round(facts.mtimeMs) } : undefined;
	} finally {
		await file.close();
	}
}

async function replace(folder: string, name: string, text: string, now: number): Promise<void> {
	const { mode } = await stat(folder);
	const temporary = join(folder, `.${name}.${randomBytes(6).toString('hex')}`);
	try {
		const file = await open(temporary, 'wx', 0o600);
		try {
			await file.writeFile(text);
			// Its age is read from the file after a restart, by the same clock.
			await file.utimes(now / 1000, now / 1000);
			await file.sync();
		} finally {
			await file.close();
		}
		if ((mode & 0o040) !== 0) await chmod(temporary, 0o640);
		await rename(temporary, join(folder, name));
	} catch (error) {
		await rm(temporary, { force: true });
		throw error;
	}
}
