// A WebSocket whose messages go over a line. It has what a provider uses of one.

import type { Line } from './line.js'

export class LineSocket {
  binaryType: BinaryType = 'arraybuffer'
  onopen: (() => void) | null = null
  onmessage: ((event: MessageEvent) => void) | null = null
  onclose: ((event: CloseEvent) => void) | null = null
  onerror: (() => void) | null = null
  #line: Line
  #inner: WebSocket | undefined
  #done: () => void

  constructor (line: Line, url: string, protocols?: string[]) {
    this.#line = line
    this.#done = line.opened(() => { this.#fail() })
    if (line.isCut) {
      setTimeout(() => { this.#fail() })
      return
    }
    const inner = new WebSocket(url, protocols)
    this.#inner = inner
    inner.binaryType = 'arraybuffer'
    inner.onopen = () => { line.pass('down', 0, () => { if (this.#inner) this.onopen?.() }) }
    inner.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      line.pass('down', data.byteLength, () => { if (this.#inner) this.onmessage?.(new MessageEvent('message', { data })) })
    }
    inner.onclose = ({ code, reason }) => { line.pass('down', 0, () => { this.#end(code, reason) }) }
    inner.onerror = () => { this.onerror?.() }
  }

  get readyState (): number { return this.#inner?.readyState ?? WebSocket.CLOSED }

  send (data: Uint8Array<ArrayBuffer>): void {
    this.#line.pass('up', data.byteLength, () => {
      if (this.#inner?.readyState === WebSocket.OPEN) this.#inner.send(data)
    })
  }

  close (): void {
    this.#inner?.close()
    this.#inner = undefined
    this.#done()
  }

  /** As when the network goes: nobody says goodbye. */
  #fail (): void {
    this.#inner?.close()
    this.#end(1006, '')
  }

  #end (code: number, reason: string): void {
    this.#inner = undefined
    this.#done()
    const closed = this.onclose
    this.onclose = null
    closed?.(new CloseEvent('close', { code, reason }))
  }
}
