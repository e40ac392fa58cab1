/**
 * Back shows nothing of a session that is over. A page goes into the back/forward cache covered, and the server's word that its session
 * lives uncovers it. Until then it shows what a page that is still loading shows: nothing. Scroll and inputs stay as they were.
 */
export function createVeil() {
  /** @type {(() => void) | undefined} */
  let undo
  const lift = () => {
    undo?.()
    undo = undefined
  }
  return {
    lift,
    covers: () => !!undo,
    cover() {
      lift()
      const page = document.body ?? document.documentElement
      const { inert, style } = page
      const { cssText } = style
      const focused = /** @type {HTMLElement | null} */ (document.activeElement)
      // Not seen, not read aloud, not clicked; whatever its parts say of themselves.
      page.inert = true
      style.cssText += ";opacity:0!important;transition:none!important"
      undo = () => {
        page.inert = inert
        style.cssText = cssText
        focused?.focus?.({ preventScroll: true })
      }
    },
  }
}
