// Why a connection ended, in one numbering for all transports: the close codes of the WebSocket, see OPERATIONS.md.

/** Why a connection ended. */
export interface End {
  /** A WebSocket close code; 1006 if it was just gone. */
  code: number
  /** For people; may be empty. */
  reason: string
  /** The server asks for this many milliseconds of patience. */
  retryAfter?: number
}

/** Gone without a word. */
export const GONE = 1006
/** Bytes that are no message. */
export const MALFORMED = 1002
/** A change is larger than the server takes. */
export const TOO_BIG = 1009
/** The server restarts. */
export const RESTART = 1012
/** The server asks to come back later. */
export const LATER = 1013
/** Ours: nothing was heard for too long. */
export const SILENT = 4408
/** Who this is, is not known, or not any more. */
export const UNAUTHORIZED = 4401
/** The server does not know the session; a new one costs only the difference. */
export const LOST = 4410

/**
 * Whether coming back with the same document would end the same way. An unknown identity is not among them: a fresh token may
 * cure it.
 */
export function isFinal ({ code }: End): boolean {
  if (code === TOO_BIG) return true
  return code >= 4400 && code < 4500 && code !== UNAUTHORIZED && code !== SILENT && code !== LOST
}

/** What the server says beside the status of an HTTP answer. */
interface Refusal {
  error?: { code?: string, message?: string }
}

/** The end that an HTTP answer means. What did not come from Quire itself, but from a proxy, is a connection that is gone. */
export async function endOf (response: Response): Promise<End> {
  const text = await response.text().catch(() => '')
  let refusal: Refusal = {}
  try {
    refusal = JSON.parse(text) as Refusal
  } catch {
    // No answer of Quire's.
  }
  const word = refusal.error?.code
  const reason = refusal.error?.message ?? `${response.status} ${response.statusText}`.trim()
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  const end: End = { code: word === undefined ? GONE : code(response.status, word), reason }
  if (seconds >= 0) end.retryAfter = Math.min(seconds, 300) * 1000
  if (word === undefined && (response.status === 429 || response.status === 503)) end.code = LATER
  return end
}

function code (status: number, word: string): number {
  if (word === 'restarting') return RESTART
  switch (status) {
    case 400: return word === 'bad_document_name' ? 4400 : MALFORMED
    case 401: return UNAUTHORIZED
    case 403: return 4403
    // A server without the HTTP transports, or a path that a proxy turned into another, is no word on the document.
    case 404: return word === 'not_found' ? GONE : 4404
    case 409: return 4409
    case 410: return word === 'lost_session' ? LOST : 4404
    case 413: return TOO_BIG
    case 429:
    case 503: return LATER
    default: return GONE
  }
}
