// What every view is to the pane that shows it.

import type { Session } from '../session.js'

export interface View {
  /** Puts the keyboard where one writes. */
  focus: () => void
  /** Brings the cursor of somebody into sight. */
  reveal: (client: number) => void
  /** Lets go of the document; its elements go with the pane's. */
  destroy: () => void
}

/** Shows its part of the document within `host`. */
export type OpenView = (host: HTMLElement, session: Session) => View
