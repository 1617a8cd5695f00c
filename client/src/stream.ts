// Reads an event stream as the server writes it. Only what it uses of the format is understood: `id`, `event`, one `data`.

export interface StreamEvent {
  id: string
  event: string
  data: string
}

/** Takes pieces of a stream and gives the events in them. Comments are passed over. */
export class StreamParser {
  #decoder = new TextDecoder()
  #rest = ''
  #event: StreamEvent = { id: '', event: '', data: '' }

  push (bytes: Uint8Array): StreamEvent[] {
    const text = this.#decoder.decode(bytes, { stream: true })
    const events: StreamEvent[] = []
    let at = 0
    // A long line comes in many pieces: what was there before holds no end of line.
    let end = text.indexOf('\n')
    while (end >= 0) {
      const line = (this.#rest + text.slice(at, end)).replace(/\r$/, '')
      this.#rest = ''
      at = end + 1
      end = text.indexOf('\n', at)
      const event = this.#line(line)
      if (event) events.push(event)
    }
    this.#rest += text.slice(at)
    return events
  }

  #line (line: string): StreamEvent | undefined {
    if (line === '') {
      const event = this.#event
      this.#event = { id: '', event: '', data: '' }
      return event.data !== '' ? event : undefined
    }
    const colon = line.indexOf(':')
    const field = line.slice(0, colon)
    const value = line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'id' || field === 'event' || field === 'data') this.#event[field] = value
    return undefined
  }
}
