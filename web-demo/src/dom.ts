// What little of a framework the page needs.

type Attributes = Record<string, string | boolean | undefined>

/** Makes an element. `class` and the like are attributes; `false` and `undefined` leave one out. */
export function make<K extends keyof HTMLElementTagNameMap> (tag: K, attributes: Attributes = {}, ...children: Array<Node | string>): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children)
  return element
}

/** The element that must be there. */
export function find<T extends HTMLElement = HTMLElement> (root: ParentNode, selector: string): T {
  const element = root.querySelector<T>(selector)
  if (element === null) throw new Error(`the page lacks ${selector}`)
  return element
}

/** Writes a text only if it is another: a live region would be read again. */
export function say (element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/** Calls `run` at most once a frame, however often it is asked to. */
export function perFrame (run: () => void): () => void {
  let asked = false
  return () => {
    if (asked) return
    asked = true
    requestAnimationFrame(() => {
      asked = false
      run()
    })
  }
}

/** Lets who presses it with a mouse go on typing where they are. */
export function keepFocus (button: HTMLElement): void {
  button.addEventListener('mousedown', event => { event.preventDefault() })
}

/** `1 edit`, `2 edits`. */
export const count = (number: number, one: string, many = `${one}s`): string => `${number.toLocaleString('en')} ${number === 1 ? one : many}`
