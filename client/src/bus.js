/** The browser's own event target: a listener that throws is reported there and harms nobody else. */
export function createBus() {
  const bus = new EventTarget()
  return {
    emit: (/** @type {string} */ name, /** @type {unknown} */ detail) => bus.dispatchEvent(new CustomEvent(name, { detail })),
    on(/** @type {string} */ name, /** @type {((detail: any) => void) | undefined} */ fn) {
      const handle = (/** @type {any} */ event) => fn?.(event.detail)
      bus.addEventListener(name, handle)
      return () => bus.removeEventListener(name, handle)
    },
  }
}
