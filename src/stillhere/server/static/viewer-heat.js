// Where on a page of the PDF somebody reads: the client's reading heat, of the sheet alone and not of what is around it.

/**
 * @param {HTMLElement} extent as large as the sheet, in its place
 * @param {unknown} session the client's, or nothing where it did not run
 */
export function measureSheet(extent, session) {
  const client = /** @type {HTMLScriptElement | null} */ (document.querySelector("script[data-manual]"))
  if (!session || !client) return
  const header = document.querySelector("header")
  const top = () => header?.getBoundingClientRect().bottom ?? 0
  const box = () => extent.getBoundingClientRect()
  // The client asks what scrolls how far it is: here the window moves over the sheet, below the bar that stays.
  Object.defineProperties(extent, {
    scrollTop: { get: () => Math.max(0, top() - box().top) },
    clientHeight: { get: () => Math.max(0, Math.min(innerHeight, box().bottom) - Math.max(top(), box().top)) },
    scrollHeight: { get: () => box().height },
  })
  import(new URL("client/heat.js", client.src).href).then(({ default: createHeat }) => createHeat(session, { root: extent }), () => {})
}
