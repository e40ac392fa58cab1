// One page of a PDF, drawn: its picture, the text over it, its links.

/** A canvas of more pixels fails on phones. */
const MOST_PIXELS = 16_777_216

/**
 * What of pdf.js is used; its own types are not shipped.
 * @typedef {any} Pdfjs
 * @typedef {any} Doc
 * @typedef {any} Page
 */

export class Sheet {
  /** @type {{ cancel(): void } | undefined} */
  #drawing
  #turn = 0

  /**
   * @param {Pdfjs} pdfjs
   * @param {Doc} doc
   * @param {HTMLElement} place
   * @param {(number: number) => void} go called for a link to another page
   */
  constructor(pdfjs, doc, place, go) {
    this.pdfjs = pdfjs
    this.doc = doc
    this.place = place
    this.go = go
  }

  /**
   * Draws a page; whatever was being drawn is given up. The old page stays until the new one is there.
   * @param {number} number
   * @param {(width: number, height: number) => number} scaleFor tells how large, for a page of this size in points
   * @returns {Promise<number | null>} the scale; null if another page was asked for meanwhile
   */
  async draw(number, scaleFor) {
    const turn = ++this.#turn
    this.#drawing?.cancel()
    this.place.setAttribute("aria-busy", "true")
    const page = await this.doc.getPage(number)
    if (turn !== this.#turn) return null
    const { width, height } = page.getViewport({ scale: 1 })
    const scale = scaleFor(width, height)
    const viewport = page.getViewport({ scale })
    const canvas = document.createElement("canvas")
    canvas.setAttribute("aria-hidden", "true")
    const ratio = Math.min(devicePixelRatio || 1, Math.sqrt(MOST_PIXELS / (viewport.width * viewport.height)))
    canvas.width = Math.floor(viewport.width * ratio)
    canvas.height = Math.floor(viewport.height * ratio)
    const drawing = page.render({ canvas, viewport, transform: ratio === 1 ? null : [ratio, 0, 0, ratio, 0, 0] })
    this.#drawing = drawing
    try {
      await drawing.promise
    } catch (error) {
      if (turn !== this.#turn) return null
      throw error
    }
    const text = await this.#text(page, viewport)
    const links = await this.#links(page, viewport)
    if (turn !== this.#turn) return null
    Object.assign(this.place.style, { width: `${Math.floor(viewport.width)}px`, height: `${Math.floor(viewport.height)}px` })
    this.place.style.setProperty("--total-scale-factor", `${scale}`)
    this.place.style.setProperty("--scale-round-x", "1px")
    this.place.style.setProperty("--scale-round-y", "1px")
    this.place.replaceChildren(canvas, text, ...links)
    this.place.removeAttribute("aria-busy")
    // The next one is likely to be wanted next; what of it isn't here yet is fetched meanwhile.
    if (number < this.doc.numPages) this.doc.getPage(number + 1).catch(() => {})
    return scale
  }

  /** @param {Page} page @param {any} viewport */
  async #text(page, viewport) {
    const container = document.createElement("div")
    container.className = "text"
    const textContentSource = page.streamTextContent({ includeMarkedContent: true, disableNormalization: true })
    await new this.pdfjs.TextLayer({ textContentSource, container, viewport }).render()
    return container
  }

  /** @param {Page} page @param {any} viewport */
  async #links(page, viewport) {
    const links = []
    for (const { subtype, rect, url, dest } of await page.getAnnotations({ intent: "display" })) {
      if (subtype !== "Link" || !(url || dest)) continue
      const link = document.createElement("a")
      const [x1, y1, x2, y2] = viewport.convertToViewportRectangle(rect)
      const [left, top, width, height] = [Math.min(x1, x2), Math.min(y1, y2), Math.abs(x2 - x1), Math.abs(y2 - y1)]
      Object.assign(link.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` })
      if (url) {
        // Of the addresses in a file pdf.js lets only those through that open a page or a letter.
        Object.assign(link, { href: url, target: "_blank", rel: "noopener noreferrer nofollow", ariaLabel: url })
      } else {
        const number = await this.#pageOf(dest)
        if (number === null) continue
        Object.assign(link, { href: `${number}`, ariaLabel: `Go to page ${number}` })
        link.addEventListener("click", (event) => {
          event.preventDefault()
          this.go(number)
        })
      }
      links.push(link)
    }
    return links
  }

  /** @param {any} dest @returns {Promise<number | null>} */
  async #pageOf(dest) {
    try {
      const [target] = (typeof dest === "string" ? await this.doc.getDestination(dest) : dest) ?? []
      return Number.isInteger(target) ? target + 1 : (await this.doc.getPageIndex(target)) + 1
    } catch {
      return null
    }
  }
}
