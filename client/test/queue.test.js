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
  restore = replaceGlobals({ localStorage: storage })
})
afterEach(() => {
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
/** @param {any} queue @returns {string[]} the views of what it owes */
const views = (queue) => queue.owed().map((/** @type {any} */ { view }) => view)
const words = (/** @type {string} */ view, /** @type {object} */ more = {}) => ({ kind: "leave", view, visibleMs: 1, ...more })

describe("what waits", () => {
  test("goes as a beat, as old as it is, oldest first, until it has arrived", () => {
    const queue = tabOf()
    queue.keep(words("a", { ageMs: 500 }))
    wait(SECOND)
    queue.keep(words("b"))
    wait(2 * SECOND)
    const expected = [{ kind: "beat", view: "a", visibleMs: 1, ageMs: 3_500 }, { kind: "beat", view: "b", visibleMs: 1, ageMs: 2_000 }]
    assert.deepEqual(queue.owed(), expected)
    assert.deepEqual(queue.owed(), expected)
    queue.drop()
    assert.deepEqual(queue.owed(), [])
  })

  test("stays if it came while other words were on their way", () => {
    const queue = tabOf()
    queue.keep(words("a"))
    queue.owed()
    queue.keep(words("b"))
    queue.drop()
    assert.deepEqual(views(queue), ["b"])
  })

  test("replaces what its view said just before, but no order is lost", () => {
    const queue = tabOf()
    for (const view of ["a", "a", "b", "a"]) queue.keep(words(view, { visibleMs: 5 }))
    assert.deepEqual(views(queue), ["a", "b", "a"])
  })

  test("survives its page, and the next one of this session is told at its first answer, once", () => {
    tabOf().keep(words("a"))
    wait(60 * SECOND)
    const next = createQueue(NAME)
    assert.deepEqual(next.owed(), [])
    assert.equal(next.meet(null), false)
    assert.equal(next.meet(DAY - 60 * SECOND), true)
    assert.equal(next.meet(DAY - 60 * SECOND), false)
    assert.deepEqual(next.owed(), [{ kind: "beat", view: "a", visibleMs: 1, ageMs: 60_000 }])
  })

  test("is what a page said before anybody knew its session, too, as long as it is this page that knows", () => {
    const queue = createQueue(NAME)
    queue.keep(words("a"))
    assert.deepEqual(views(createQueue(NAME)), [])
    assert.deepEqual(views(queue), ["a"])
    assert.equal(queue.meet(DAY), true)
    assert.deepEqual(views(queue), ["a"])
  })
})

describe("nobody inherits", () => {
  test("the words of another session; they are forgotten as soon as the next one is known", () => {
    tabOf().keep(words("a"))
    wait(60 * SECOND)
    const stranger = createQueue(NAME)
    assert.equal(stranger.meet(DAY), false)
    assert.deepEqual(stranger.owed(), [])
    assert.equal(storage[NAME], "[]")
  })

  test("the words of an ended one", () => {
    const queue = tabOf()
    queue.keep(words("a"))
    queue.clear()
    assert.equal(storage[NAME], "[]")
    assert.deepEqual(queue.owed(), [])
  })

  test("the words of a page that never knew its session", () => {
    createQueue(NAME).keep(words("a"))
    const next = createQueue(NAME)
    assert.equal(next.meet(DAY), false)
    assert.equal(storage[NAME], "[]")
  })

  test("slow answers and clocks that drift do not make a stranger of anybody", () => {
    const queue = tabOf()
    queue.keep(words("a"))
    wait(9 * SECOND)
    queue.meet(DAY)
    assert.deepEqual(views(queue), ["a"])
  })
})

describe("two tabs", () => {
  test("don't send the same words, unless the one that took them is gone", () => {
    const [one, two] = [tabOf(), tabOf()]
    one.keep(words("a"))
    assert.deepEqual(views(two), ["a"])
    assert.deepEqual(views(one), [])
    assert.deepEqual(views(two), ["a"])
    wait(16 * SECOND)
    assert.deepEqual(views(one), ["a"])
    one.drop()
    assert.deepEqual(views(two), [])
  })

  test("leave each other's words alone when theirs have arrived", () => {
    const [one, two] = [tabOf(), tabOf()]
    one.keep(words("a"))
    one.owed()
    two.keep(words("b"))
    two.owed()
    two.drop()
    assert.deepEqual(views(one), ["a"])
  })
})

describe("bounds", () => {
  test("the oldest go when there are more than fifty", () => {
    const queue = tabOf()
    for (let n = 0; n < 60; n++) queue.keep(words("view-" + n))
    assert.deepEqual(views(queue), Array.from({ length: 50 }, (_, n) => "view-" + (n + 10)))
  })

  test("the oldest go when they would not fit into one message, whatever script they are written in", () => {
    const queue = tabOf()
    for (let n = 0; n < 50; n++) queue.keep(words("view-" + n, { page: "読".repeat(1_000) }))
    const owed = queue.owed()
    assert.ok(new Blob([JSON.stringify({ beats: owed })]).size < 60_000)
    assert.deepEqual([owed.length > 5, /** @type {any} */ (owed.at(-1)).view], [true, "view-49"])
  })

  test("after a day words are forgotten, and a clock set back makes none older than now", () => {
    const queue = tabOf(3 * DAY)
    queue.keep(words("a"))
    mock.timers.setTime(Date.now() - 3_600_000)
    queue.meet(3 * DAY + 3_600_000)
    assert.deepEqual(queue.owed().map((/** @type {any} */ { ageMs }) => ageMs), [0])
    wait(3_600_000 + DAY)
    queue.meet(2 * DAY)
    assert.deepEqual(queue.owed(), [])
  })
})

describe("storage", () => {
  /** @param {ProxyHandler<any>} handler */
  const useStorage = (handler) => {
    restore()
    restore = replaceGlobals({ localStorage: new Proxy(storage, handler) })
  }
  const refuse = () => {
    throw new DOMException("no", "QuotaExceededError")
  }

  test("that is forbidden keeps nothing beyond the page, and harms nothing", () => {
    restore()
    const before = Object.getOwnPropertyDescriptor(globalThis, "localStorage")
    Object.defineProperty(globalThis, "localStorage", { get: refuse, configurable: true })
    restore = () => void Object.defineProperty(globalThis, "localStorage", before ?? { value: undefined, configurable: true })
    const queue = tabOf()
    queue.keep(words("a"))
    assert.deepEqual(views(queue), ["a"])
    queue.drop()
    assert.deepEqual(views(queue), [])
  })

  test("that is full keeps nothing beyond the page, and what it held before is not said again", () => {
    const queue = tabOf()
    queue.keep(words("a"))
    useStorage({ set: refuse })
    queue.keep(words("b"))
    assert.deepEqual(views(queue), ["a", "b"])
    queue.drop()
    assert.deepEqual(views(queue), [])
    assert.equal(storage[NAME], undefined)
  })

  for (const garbage of ["", "{", "null", "7", '{"a":1}', "[1,null]", '[{"at":"x","body":{}}]', '[{"at":1}]']) {
    test(`that holds garbage is mended: ${garbage || "nothing"}`, () => {
      storage[NAME] = garbage
      const queue = tabOf()
      assert.deepEqual(queue.owed(), [])
      queue.keep(words("a"))
      assert.deepEqual(views(tabOf()), ["a"])
    })
  }
})
