import assert from "node:assert/strict"
import { afterEach, beforeEach, describe, mock, test } from "node:test"
import { createQueue } from "../src/queue.js"
import { createStorage, replaceGlobals } from "./browser.js"

const NAME = "stillhere/session"
const DAY = 86_400_000
const SECOND = 1_000

/** @type {Record<string, any>} */
let storage
/** @type {() => void} */
let restore
beforeEach(() => {
  mock.timers.enable({ apis: ["Date"], now: 1_700_000_000_000 })
  storage = createStorage()
  storage["somebody else's"] = "kept"
  restore = replaceGlobals({ localStorage: storage })
})
afterEach(() => {
  assert.equal(storage["somebody else's"], "kept")
  restore()
  mock.timers.reset()
})

const wait = (/** @type {number} */ ms) => mock.timers.tick(ms)
/** A tab whose session ends in a day, or then. @param {number} [absoluteInMs] */
const tabOf = (absoluteInMs = DAY) => {
  const queue = createQueue(NAME)
  queue.meet(absoluteInMs)
  return queue
}
/** @typedef {ReturnType<typeof createQueue>} Queue */
/** The views of what it owes. @param {Queue} queue */
const views = (queue) => queue.owed().map(({ view }) => view)
/** @param {string} view @param {object} [more] */
const words = (view, more) => ({ kind: "leave", view, seq: 1, visibleMs: 1, ...more })
/** How much of ours there is. */
const size = () => Object.keys(storage).length - 1

describe("what waits", () => {
  test("goes as a beat, as old as it is, oldest first, until it has arrived", () => {
    const queue = tabOf()
    queue.keep(words("a", { ageMs: 500 }))
    wait(SECOND)
    queue.keep(words("b"))
    wait(2 * SECOND)
    const owed = queue.owed()
    assert.deepEqual(owed, [
      { kind: "beat", view: "a", seq: 1, visibleMs: 1, ageMs: 3_500 },
      { kind: "beat", view: "b", seq: 1, visibleMs: 1, ageMs: 2_000 },
    ])
    queue.keep(words("c"))
    queue.forget(owed)
    assert.deepEqual(views(queue), ["c"])
    queue.forget(queue.owed())
    assert.equal(size(), 0)
  })

  test("goes in the order in which it was said, however late it is known that it did not arrive", () => {
    const queue = tabOf()
    wait(5 * SECOND)
    queue.keep(words("b"))
    wait(5 * SECOND)
    queue.keep(words("a", { ageMs: 10_000 }))
    assert.deepEqual(queue.owed().map(({ view, ageMs }) => [view, ageMs]), [["a", 10_000], ["b", 5_000]])
  })

  test("survives its page, for the next ones of this session", () => {
    tabOf().keep(words("a"))
    wait(60 * SECOND)
    const next = createQueue(NAME)
    assert.deepEqual(next.owed(), [])
    next.meet(null)
    assert.deepEqual(next.owed(), [])
    next.meet(DAY - 60 * SECOND)
    assert.deepEqual(next.owed(), [{ kind: "beat", view: "a", seq: 1, visibleMs: 1, ageMs: 60_000 }])
  })

  test("is what a page said before anybody knew its session, too, but for that page alone", () => {
    const queue = createQueue(NAME)
    queue.keep(words("a"))
    const other = createQueue(NAME)
    assert.deepEqual([views(other), views(queue)], [[], ["a"]])
    queue.meet(DAY)
    assert.deepEqual(views(queue), ["a"])
    other.meet(DAY)
    assert.deepEqual(views(queue), [])
  })

  test("is not lost when two tabs keep, send and drop at the same time", () => {
    const [one, two] = [tabOf(), tabOf()]
    one.keep(words("a"))
    const owed = two.owed()
    one.keep(words("b"))
    two.keep(words("c"))
    two.forget(owed)
    assert.deepEqual([views(one), views(two)], [["b", "c"], ["b", "c"]])
  })
})

describe("nobody inherits", () => {
  test("the words of another session; they are forgotten as soon as the next one is known", () => {
    tabOf().keep(words("a"))
    wait(60 * SECOND)
    const stranger = tabOf()
    assert.deepEqual([stranger.owed(), size()], [[], 0])
  })

  test("the words of an ended one", () => {
    const queue = tabOf()
    queue.keep(words("a"))
    queue.clear()
    assert.deepEqual([queue.owed(), size()], [[], 0])
  })

  test("the words of a page that never knew its session", () => {
    createQueue(NAME).keep(words("a"))
    assert.deepEqual([tabOf().owed(), size()], [[], 0])
  })

  test("slow answers and clocks that drift do not make a stranger of anybody", () => {
    const queue = tabOf()
    queue.keep(words("a"))
    wait(9 * SECOND)
    queue.meet(DAY)
    assert.deepEqual(views(queue), ["a"])
  })
})

describe("bounds", () => {
  test("the oldest go when there are more than fifty", () => {
    const queue = tabOf()
    for (let n = 0; n < 60; n++, wait(1)) queue.keep(words("view-" + n))
    assert.deepEqual(views(queue), Array.from({ length: 50 }, (_, n) => "view-" + (n + 10)))
    assert.equal(size(), 50)
  })

  test("the oldest go when they would not fit into one message, whatever script they are written in", () => {
    const queue = tabOf()
    for (let n = 0; n < 50; n++, wait(1)) queue.keep(words("view-" + n, { page: "読".repeat(1_000) }))
    const owed = queue.owed()
    assert.ok(new Blob([JSON.stringify({ beats: owed })]).size < 60_000)
    assert.deepEqual([owed.length > 5, owed.at(-1)?.view], [true, "view-49"])
  })

  test("after a day words are forgotten, and a clock set back makes none older than now", () => {
    const queue = tabOf(3 * DAY)
    queue.keep(words("a"))
    mock.timers.setTime(Date.now() - 3_600_000)
    queue.meet(3 * DAY + 3_600_000)
    assert.deepEqual(queue.owed().map(({ ageMs }) => ageMs), [0])
    wait(3_600_000 + DAY)
    queue.meet(2 * DAY)
    assert.deepEqual([queue.owed(), size()], [[], 0])
  })
})

describe("storage", () => {
  const refuse = () => {
    throw new DOMException("no", "QuotaExceededError")
  }

  test("that is forbidden keeps nothing, and harms nothing", () => {
    restore()
    Object.defineProperty(globalThis, "localStorage", { get: refuse, configurable: true })
    restore = () => void Object.defineProperty(globalThis, "localStorage", { value: undefined, configurable: true })
    const queue = tabOf()
    queue.keep(words("a"))
    assert.deepEqual(queue.owed(), [])
    queue.forget([words("a")])
    queue.clear()
  })

  test("that is full keeps what it had, and harms nothing", () => {
    tabOf().keep(words("a"))
    restore()
    restore = replaceGlobals({ localStorage: new Proxy(storage, { set: refuse }) })
    const queue = tabOf()
    queue.keep(words("b"))
    assert.deepEqual(views(queue), ["a"])
    queue.forget(queue.owed())
    assert.equal(size(), 0)
  })

  for (const garbage of ["", "{", "null", "7", '"text"', '{"a":1}', '{"at":"x","body":{}}', '{"at":1,"body":null}']) {
    test(`that holds garbage is cleaned: ${garbage || "nothing"}`, () => {
      storage[NAME + " x"] = garbage
      const queue = tabOf()
      assert.equal(size(), 0)
      queue.keep(words("a"))
      assert.deepEqual(views(tabOf()), ["a"])
    })
  }
})
