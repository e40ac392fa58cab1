/**
 * Knows whether a person has typed something into this page that would be lost with it. What a control held when it was first met is
 * what it is compared with; frameworks that keep `defaultValue` equal to `value` are not deceived. Where an ancestor has the attribute
 * `data-stillhere-saved`, nothing is lost.
 */

/** A submission this recent may be the very request that met the end of the session. */
const SENT = 10_000

/** @param {any} element  a form control, or something editable */
const contentOf = ({ isContentEditable, textContent, type, checked, value }) =>
  isContentEditable ? textContent : /^(checkbox|radio)$/.test(type) ? checked + "" : value

/** @param {AbortSignal} signal  the client stops */
export function createGuard(signal) {
  /** @type {WeakMap<any, string>} */
  const before = new WeakMap()
  /** @type {Set<any>} */
  const touched = new Set()
  const on = (/** @type {string} */ type, /** @type {(element: any, event: Event) => void} */ handle) =>
    addEventListener(type, (event) => handle(event.composedPath()[0], event), { capture: true, passive: true, signal })
  const meet = (/** @type {any} */ element) => before.has(element) || before.set(element, contentOf(element))

  on("focusin", meet)
  on("beforeinput", meet)
  on("input", (element, { isTrusted }) => {
    for (const other of touched) if (!other.isConnected) touched.delete(other)
    if (isTrusted) touched.add(element)
  })
  on("submit", (form) => {
    const sent = [...form.elements].map((element) => [element, contentOf(element)])
    setTimeout(() => sent.forEach(([element, content]) => before.set(element, content)), SENT)
  })
  return () =>
    [...touched].some((element) => {
      const content = contentOf(element)
      return element.isConnected && content && content !== before.get(element) && !element.closest("[data-stillhere-saved]")
    })
}
