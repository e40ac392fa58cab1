// Shows a PDF, one page at a time. Each page has an address of its own, so that the client counts it as a view of its own.

import { byId, setText } from "./dom.js"
import { listenToHands } from "./viewer-hands.js"
import { measureSheet } from "./viewer-heat.js"
import { Sheet } from "./viewer-sheet.js"

/** A page that is only turned past within this time, in milliseconds, gets no address, and so no view. */
const SETTLES = 300
const SMALLEST = 0.25
const LARGEST = 5
const STEP = 1.25
/** What the window leaves to a page that is to fit into it: bars and space, in pixels. */
const AROUND = 170
/** Wider than so many pixels lines are hard to read. */
const WIDEST = 980

const place = byId("sheet")
const { file = "", base = "", name = "" } = place.dataset
const input = /** @type {HTMLInputElement} */ (byId("number"))
const vendor = new URL(place.dataset.vendor ?? "", location.href).href

/** @type {Record<string, [string, string]>} */
const TROUBLES = {
  PasswordException: ["This document is locked", "It asks for a password, which this viewer can’t. Ask whoever sent it for one without."],
  InvalidPDFException: ["This document can’t be read", "It seems to be damaged, or is no PDF. Ask whoever sent it for another copy."],
  401: ["You are signed out", "Your session is over. Sign in again, and you are back at this page."],
  404: ["This document is gone", "It was here a moment ago, and is no longer."],
}
const UNKNOWN = ["The document didn’t come through", "The connection broke off, or the server is in trouble. Try again in a moment."]

/** Reading begins when there is something to read, or the words why there is nothing. */
const begin = () => /** @type {any} */ (window).stillhere?.start()

/** @param {any} error */
function tell(error) {
  const [title, text] = TROUBLES[error?.status] ?? TROUBLES[error?.name] ?? UNKNOWN
  setText(byId("trouble-title"), title)
  setText(byId("trouble-text"), text)
  byId("trouble").hidden = false
  for (const id of ["loading", "sheet", "turner", "zoom"]) byId(id).hidden = true
  begin()
  console.info(`stillhere: ${name} could not be shown:`, error?.message ?? error)
}

async function open() {
  const pdfjs = await import(`${vendor}pdf.min.mjs`)
  pdfjs.GlobalWorkerOptions.workerSrc = `${vendor}pdf.worker.min.mjs`
  const loading = pdfjs.getDocument({
    url: new URL(file, location.href).href,
    cMapUrl: `${vendor}cmaps/`,
    standardFontDataUrl: `${vendor}standard_fonts/`,
    wasmUrl: `${vendor}wasm/`,
    isEvalSupported: false,
    // What is fetched on the way is nobody's activity.
    httpHeaders: { "X-Heartbeat": "true" },
  })
  const progress = /** @type {HTMLProgressElement} */ (byId("progress"))
  loading.onProgress = (/** @type {{ loaded: number, total: number }} */ { loaded, total }) => {
    if (total) Object.assign(progress, { max: total, value: Math.min(loaded, total) })
  }
  return { pdfjs, doc: await loading.promise }
}

/** @param {any} pdfjs @param {any} doc */
function show(pdfjs, doc) {
  const count = doc.numPages
  const sheet = new Sheet(pdfjs, doc, place, go)
  let current = 0
  let scale = 1
  /** @type {number | "page" | "width"} a scale, or what a page is fitted to */
  let size = "page"
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let settling
  let isStaying = false

  const scaleFor = (/** @type {number} */ width, /** @type {number} */ height) => {
    if (typeof size === "number") return size
    const { clientWidth } = document.documentElement
    const room = clientWidth - (clientWidth < 768 ? 24 : 80)
    if (size === "width") return room / width
    // A slide is seen as a whole; a page of text is read, and scrolled.
    const isSlide = width > height
    return isSlide ? Math.min(room / width, Math.max(240, innerHeight - AROUND) / height) : Math.min(room, WIDEST) / width
  }
  const draw = async () => {
    try {
      scale = (await sheet.draw(current, scaleFor)) ?? scale
    } catch (error) {
      place.removeAttribute("aria-busy")
      isStaying = true
      tell(error)
    }
    settle()
  }
  /** Until the reader stays on a page, and sees it, the time is that of the page before. */
  const settle = () => {
    if (!isStaying || place.hasAttribute("aria-busy")) return
    const path = `${base}/${current}`
    if (location.pathname !== path) history.replaceState(null, "", path)
    document.title = `${name}, page ${current} of ${count}`
  }

  /** @param {number} number */
  function go(number) {
    const wanted = Math.min(Math.max(1, number), count)
    if (wanted === current) return
    const isFirst = current === 0
    current = wanted
    input.value = `${current}`
    const [previous, next] = ["previous", "next"].map((id) => /** @type {HTMLButtonElement} */ (byId(id)))
    previous.disabled = current === 1
    next.disabled = current === count
    place.setAttribute("aria-label", `Page ${current} of ${count}`)
    clearTimeout(settling)
    isStaying = isFirst
    if (isFirst) settle()
    else settling = setTimeout(() => { isStaying = true; settle() }, SETTLES)
    draw().then(() => {
      if (isFirst) return measureSheet(byId("extent"), begin())
      scrollTo({ top: 0, left: 0, behavior: "instant" })
      setText(byId("told"), `Page ${current} of ${count}`)
    })
  }
  const zoom = (/** @type {number} */ by) => {
    size = Math.min(LARGEST, Math.max(SMALLEST, scale * STEP ** by))
    draw()
  }
  const fit = () => {
    size = size === "width" ? "page" : "width"
    setText(byId("fit"), size === "width" ? "Fit page" : "Fit width")
    draw()
  }
  const turn = (/** @type {number} */ by) => go(current + by)
  const isWide = () => place.clientWidth > document.documentElement.clientWidth

  byId("previous").addEventListener("click", () => turn(-1))
  byId("next").addEventListener("click", () => turn(1))
  byId("smaller").addEventListener("click", () => zoom(-1))
  byId("larger").addEventListener("click", () => zoom(1))
  byId("fit").addEventListener("click", fit)
  input.addEventListener("focus", () => input.select())
  input.addEventListener("change", () => {
    go(Number.parseInt(input.value, 10) || current)
    input.value = `${current}`
  })
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let resizing
  addEventListener("resize", () => {
    clearTimeout(resizing)
    if (typeof size === "string") resizing = setTimeout(draw, 150)
  })
  listenToHands({ turn, go, zoom, fit, isWide })

  setText(byId("count"), `${count}`)
  byId("loading").hidden = true
  for (const id of ["sheet", "turner"]) byId(id).hidden = false
  go(Number(place.dataset.page) || 1)
}

open().then(({ pdfjs, doc }) => show(pdfjs, doc), tell)
