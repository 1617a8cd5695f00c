// What this browser remembers between visits. Without storage it lasts as long as the page.

export function recall (key: string): unknown {
  try {
    return JSON.parse(window.localStorage.getItem(`quire-${key}`) ?? 'null')
  } catch {
    return null
  }
}

export function remember (key: string, value: unknown): void {
  try {
    window.localStorage.setItem(`quire-${key}`, JSON.stringify(value))
  } catch {
    // The visitor allows none.
  }
}
