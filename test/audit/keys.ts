import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { SigningKey } from '../../src/audit/checkpoint.ts';

export const ecKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

export const signer = (key: KeyObject = ecKey()): (() => SigningKey) => {
	const signing = { key };
	return () => signing;
};
