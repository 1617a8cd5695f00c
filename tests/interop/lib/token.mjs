// Access tokens of the server's simplest kind: HS256 with a shared secret.

import { createHmac } from 'node:crypto'

const part = object => Buffer.from(JSON.stringify(object)).toString('base64url')

/**
 * @param {string} secret what the server got as QUIRE_AUTH_SECRET
 * @param {{ sub?: string, exp?: number, name?: string, docs?: Array<{ name?: string, prefix?: string, access: 'read' | 'write' | 'admin' }> }} claims
 *   `exp` in seconds since 1970; default one hour from now
 */
export function token (secret, claims) {
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims })}`
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}
