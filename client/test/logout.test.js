import assert from "node:assert/strict"
import { afterEach, beforeEach, test } from "node:test"
import { isSafe, logoutAtProvider } from "../src/logout.js"
import { replaceGlobals } from "./browser.js"

const URL_ = "https://provider.example/logout?client_id=app"

/** @type {string[]} */
let gone
/** @type {() => void} */
let restore
beforeEach(() => {
  gone = []
  restore = replaceGlobals({
    self: { origin: "https://app.example" },
    document: { baseURI: "https://app.example/page", documentElement: { style: {} } },
    location: { replace: (/** @type {string} */ url) => gone.push(url) },
  })
})
afterEach(() => restore())

/** A client that signs out, as the engine tells of it. @param {object} [options] */
function open(options) {
  const bus = new EventTarget()
  const facts = { stops: 0 }
  /** @type {any} */
  const session = {
    on(/** @type {string} */ name, /** @type {(detail: any) => void} */ fn) {
      const handle = (/** @type {any} */ event) => fn(event.detail)
      bus.addEventListener(name, handle)
      return () => bus.removeEventListener(name, handle)
    },
    onStop() {},
    stop: () => facts.stops++,
  }
  const undo = logoutAtProvider(session, options)
  const emit = (/** @type {string} */ name, /** @type {any} */ detail) => bus.dispatchEvent(new CustomEvent(name, { detail }))
  return { facts, emit, undo }
}
const answered = { kind: "end", status: 200, answer: { reason: "signed_out", logoutUrl: URL_ } }

test("only https, or this machine, is an address to be sent to", () => {
  for (const url of [URL_, "http://localhost:9000/x", "http://127.0.0.1/", "http://[::1]:8080/"]) assert.ok(isSafe(url), url)
  for (const url of ["http://provider.example/", "javascript:alert(1)", "data:text/html,x", "/logout", "", "http://localhost.example/", null, undefined, {}]) {
    assert.ok(!isSafe(url), String(url))
  }
})

test("who signed out here goes to the provider, once, and the client is silent from then on", () => {
  const { facts, emit } = open()
  emit("message", answered)
  assert.deepEqual(gone, [])
  emit("ended", answered.answer)
  assert.deepEqual(gone, [URL_])
  assert.equal(facts.stops, 1)
  assert.equal(document.documentElement.style.visibility, "hidden")
})

test("a tab that only hears of the end goes nowhere, whatever it hears", () => {
  const { facts, emit } = open()
  emit("message", { kind: "beat", status: 200, answer: { logoutUrl: URL_ } })
  emit("message", { kind: "end", status: 500, answer: { logoutUrl: URL_ } })
  emit("ended", answered.answer)
  assert.deepEqual([gone, facts.stops], [[], 0])
})

test("an answer without an address, or with one that is not safe, leaves the ending as it is", () => {
  for (const answer of [undefined, {}, { logoutUrl: "javascript:alert(1)" }]) {
    const { emit } = open()
    emit("message", { ...answered, answer })
    emit("ended", {})
  }
  assert.deepEqual(gone, [])
})

test("an answer of another origin is not believed", () => {
  const { emit } = open({ endpoint: "https://other.example/session" })
  emit("message", answered)
  emit("ended", answered.answer)
  assert.deepEqual(gone, [])
})

test("what is undone does nothing", () => {
  const { emit, undo } = open()
  undo()
  emit("message", answered)
  emit("ended", answered.answer)
  assert.deepEqual(gone, [])
})
