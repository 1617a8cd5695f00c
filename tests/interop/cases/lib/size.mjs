// Two sizes of every case: a short one for each change, and the one the case asks for (QUIRE_FULL=1).

/** True for the long form. */
export const full = process.env.QUIRE_FULL === '1'

/** The number for this run. */
export const size = (long, short) => full ? long : short

/** Traffic must rest this long before a room counts as settled, in milliseconds. */
export const QUIET = size(3_000, 1_000)

/** The time limit of one test in milliseconds, a safety net behind the deadlines inside. */
export const limit = (long, short) => ({ timeout: size(long, short) })
