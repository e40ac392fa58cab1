import assert from "node:assert/strict"
import { mock, test } from "node:test"
import { receive } from "../src/push.js"

/** A stream as the browser offers it, and one lock that is always free. */
class Stream {
  static last = /** @type {any} */ (null)
  readyState = 0
  onerror = () => {}
  addEventListener() {}
  constructor() {
    Stream.last = this
  }
  close() {
    this.readyState = 2
  }
}

/** @type {(url: string, options: object, hold: () => Promise<void>) => Promise<void>} */
const request = (_url, _options, hold) => hold()

test("a refused stream waits for its next try, and leaves nothing behind when the client stops meanwhile", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] })
  Object.defineProperty(globalThis, "navigator", { value: { locks: { request: mock.fn(request) } }, configurable: true })
  Object.assign(globalThis, { EventSource: Stream })
  const asked = /** @type {any} */ (navigator.locks.request).mock
  const cleared = t.mock.method(globalThis, "clearTimeout")
  const push = receive("/session/events", () => {}, () => {})
  push.open()
  const refused = Stream.last
  refused.close()
  refused.onerror()
  push.open()
  assert.equal(asked.callCount(), 1, "tried again before the wait was over")
  push.close()
  assert.equal(cleared.mock.callCount(), 1)
  push.open()
  assert.equal(asked.callCount(), 2)
  const fresh = Stream.last
  t.mock.timers.tick(90_000)
  push.open()
  assert.equal(asked.callCount(), 2, "the wait of the stream before closed this one")
  assert.equal(fresh.readyState, 0)
})
