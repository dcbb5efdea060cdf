import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Pair } from '../support/workspace.ts';

/** The serial of a certificate as `openssl x509 -serial` prints it. */
export const serialOf = ({ certificate }: Pair): string => new X509Certificate(readFileSync(certificate)).serialNumber;
