// Waiting for a condition with a deadline: the only way a test here lets time pass.

/**
 * Resolves with the first truthy value of `condition` (which may be async and may throw: a throw counts as "not yet" and
 * is shown if the deadline passes). Polls; never sleeps longer than `every` milliseconds at once.
 *
 * @template T
 * @param {() => T | Promise<T>} condition
 * @param {number} [deadline] milliseconds
 * @param {string | (() => string)} [label] what was waited for; a function is asked only on failure
 * @returns {Promise<T>}
 */
export async function waitFor (condition, deadline = 10_000, label = 'condition', every = 10) {
  const end = performance.now() + deadline
  let last
  for (;;) {
    try {
      const value = await condition()
      if (value) return value
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() >= end) break
    await new Promise(resolve => setTimeout(resolve, Math.min(every, Math.max(1, end - performance.now()))))
  }
  const what = typeof label === 'function' ? label() : label
  throw new Error(`waited ${deadline} ms in vain for: ${what}`, last === undefined ? undefined : { cause: last })
}

/** Rejects after `deadline` milliseconds unless `promise` settles before. */
export function within (promise, deadline, label) {
  let timer
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${deadline} ms in vain for: ${label}`)), deadline)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Holds that `condition` stays false for `ms` milliseconds: for what must NOT happen. */
export async function never (condition, ms, label) {
  const end = performance.now() + ms
  while (performance.now() < end) {
    if (await condition()) throw new Error(`happened, but must not: ${label}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
