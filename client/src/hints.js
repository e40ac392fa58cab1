/**
 * The time left, told to those who look elsewhere: before the title, and by a dot as the page's icon. What the page had is given back.
 *
 * @param {string} icon  address of the dot
 */
export function createHints(icon) {
  let written = ""
  let title = ""
  /** @type {[HTMLLinkElement, string][]} */
  let icons = []
  const dot = Object.assign(document.createElement("link"), { rel: "icon", href: icon })
  const hints = {
    /** The page's own title. */
    title: () => (document.title === written ? title : document.title),
    /** @param {string} [left]  nothing: no hints */
    show(left) {
      const isAway = left && (document.hidden || !document.hasFocus())
      // The application may have written another one meanwhile.
      title = hints.title()
      written = isAway ? `(${left}) ${title}` : title
      if (document.title !== written) document.title = written
      if (!isAway === !dot.parentNode) return
      if (isAway) {
        const found = /** @type {NodeListOf<HTMLLinkElement>} */ (document.querySelectorAll("link[rel~=icon i]"))
        icons = [...found].map((link) => [link, link.rel])
        // Without an icon of its own, a page may allow no pictures at all.
        if (icons[0]) document.head.append(dot)
      } else dot.remove()
      for (const [link, rel] of icons) link.rel = isAway ? "" : rel
    },
  }
  return hints
}
