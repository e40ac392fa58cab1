// Building elements without ever parsing HTML: text goes in as text.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} [attributes]
 *   a function becomes a listener ("onclick"); null, undefined and false are left out
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, "")
    else if (value != null && value !== false) element.setAttribute(name, String(value))
  }
  for (const child of children) if (child != null && child !== false) element.append(child instanceof Node ? child : String(child))
  return element
}

/**
 * The element with this id, which the page must have.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id)
  if (!element) throw new Error(`the page has no #${id}`)
  return element
}

/**
 * Sets text only when it changed, so that selections and screen readers are left in peace.
 * @param {Element} element
 * @param {string | number} text
 */
export function setText(element, text) {
  const next = String(text)
  if (element.textContent !== next) element.textContent = next
}

/**
 * Puts other children in the place of those that are there; what had the focus, was open or scrolled is so again.
 * @param {Element} parent
 * @param {...Child} children
 */
export function refill(parent, ...children) {
  const wanted = children.filter(child => child != null && child !== false)
  if (wanted.length === parent.childNodes.length && wanted.every((child, i) => child === parent.childNodes[i])) return
  const fresh = el("div", {}, ...children)
  const old = [...parent.childNodes]
  if (old.length === fresh.childNodes.length && old.every((node, i) => node.isEqualNode(fresh.childNodes[i]))) return
  const all = (/** @type {string} */ selector) => [...parent.querySelectorAll(selector)]
  const focused = document.activeElement
  const held = focused ? all(focused.tagName).indexOf(focused) : -1
  const open = all("details").map(one => one.hasAttribute("open"))
  const scrolled = all(".scroll").map(one => one.scrollTop)
  parent.replaceChildren(...fresh.childNodes)
  all("details").forEach((one, i) => one.toggleAttribute("open", open[i] ?? false))
  all(".scroll").forEach((one, i) => { one.scrollTop = scrolled[i] ?? 0 })
  const again = focused && all(focused.tagName)[held]
  if (again instanceof HTMLElement) again.focus({ preventScroll: true })
}

/**
 * Makes the children of `parent` match `items`, keeping the element of every key that stays.
 * @template Item
 * @template {{ element: HTMLElement, update(item: Item): void }} Row
 * @param {HTMLElement} parent
 * @param {Map<string, Row>} rows what is there; changed in place
 * @param {Item[]} items
 * @param {(item: Item) => string} key
 * @param {(item: Item) => Row} create
 */
export function reconcile(parent, rows, items, key, create) {
  const wanted = new Set(items.map(key))
  for (const [k, row] of rows) {
    if (wanted.has(k)) continue
    row.element.remove()
    rows.delete(k)
  }
  const focused = document.activeElement
  let place = parent.firstElementChild
  for (const item of items) {
    const k = key(item)
    let row = rows.get(k)
    if (!row) rows.set(k, (row = create(item)))
    row.update(item)
    if (row.element === place) place = place.nextElementSibling
    else parent.insertBefore(row.element, place)
  }
  if (focused instanceof HTMLElement && focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true })
}
