/**
 * Elapsed milliseconds that never run back and that jump over sleep on every platform. Browsers disagree on whether
 * performance.now() includes sleep (whatwg/html#6759); the wall clock does, but people and NTP set it. So the monotonic
 * clock leads, and only when the wall clock ran ahead of it is the difference added, as time in which nothing is known.
 *
 * @param {() => number} [mono]
 * @param {() => number} [wall]
 */
export function createClock(mono = () => performance.now(), wall = () => Date.now()) {
  let added = 0
  let lead = wall() - mono()
  return () => {
    const ahead = wall() - mono() - lead
    lead += ahead
    if (ahead > 2_000) added += ahead
    return mono() + added
  }
}
