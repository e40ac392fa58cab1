/**
 * Whether the browser would rather say less: its person saves data, or its battery is low and not being charged.
 * @returns {() => boolean}
 */
export function isSaving() {
  /** @type {any} */
  const { connection, getBattery } = navigator
  /** @type {{ charging: boolean, level: number } | undefined} */
  let battery
  getBattery?.call(navigator).then((/** @type {typeof battery} */ found) => (battery = found), () => {})
  return () => connection?.saveData || (battery && !battery.charging && battery.level < 0.2)
}
