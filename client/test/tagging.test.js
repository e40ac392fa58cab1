import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { isUnattended, tagged } from "../src/tagging.js"

const WINDOW = 120_000
/** @type {(changes?: object, visibility?: DocumentVisibilityState) => boolean} */
const unattended = (changes, visibility = "visible") => isUnattended({ state: "active", idleMs: 0, ...changes }, visibility, WINDOW)

describe("a request", () => {
  test("proves somebody's presence within the activity window only", () => {
    assert.equal(unattended(), false)
    assert.equal(unattended({ idleMs: WINDOW }), false)
    assert.equal(unattended({ idleMs: WINDOW + 1 }), true)
  })

  test("proves nothing before the first input, in a hidden tab, or while the warning asks for a choice", () => {
    assert.equal(unattended({ idleMs: null }), true)
    assert.equal(unattended({}, "hidden"), true)
    assert.equal(unattended({ state: "expiring" }), true)
  })

  test("is judged by input alone while the server's word is missing", () => {
    assert.equal(unattended({ state: "unknown" }), false)
    assert.equal(unattended({ state: "unknown", idleMs: null }), true)
  })
})

const URL_ = "https://a.example/poll"

describe("what fetch is given", () => {
  test("keeps the shape of the caller's headers, and changes nothing of the caller's", () => {
    const record = { accept: "text/plain" }
    const pairs = [["accept", "text/plain"]]
    const list = new Headers(record)
    assert.deepEqual(tagged(URL_, { headers: record }), [URL_, { headers: { accept: "text/plain", "X-Heartbeat": "true" } }])
    assert.deepEqual(tagged(URL_, { headers: pairs })[1].headers, [...pairs, ["X-Heartbeat", "true"]])
    const { headers } = tagged(URL_, { headers: list })[1]
    assert.ok(headers instanceof Headers)
    assert.deepEqual([...headers], [["accept", "text/plain"], ["x-heartbeat", "true"]])
    assert.deepEqual([record, pairs, [...list]], [{ accept: "text/plain" }, [["accept", "text/plain"]], [["accept", "text/plain"]]])
  })

  test("has headers where there were none, and all else that was there, inherited or not", () => {
    const url = new URL(URL_)
    assert.deepEqual(tagged(url), [url, { headers: { "X-Heartbeat": "true" } }])
    const body = new ReadableStream()
    const { signal } = new AbortController()
    const init = Object.assign(Object.create({ method: "POST", keepalive: true }), { body, duplex: "half", signal })
    const options = tagged(URL_, init)[1]
    assert.deepEqual({ ...options, body: 0, signal: 0 }, {
      method: "POST", keepalive: true, duplex: "half", body: 0, signal: 0, headers: { "X-Heartbeat": "true" },
    })
    assert.equal(options.body, body)
    assert.equal(options.signal, signal)
  })

  test("is what the caller decided, where the caller decided", () => {
    for (const headers of [{ "x-heartbeat": "false" }, [["X-HEARTBEAT", ""]], new Headers({ "X-Stillhere": "1" })]) {
      const init = { headers: /** @type {HeadersInit} */ (headers) }
      const given = tagged(URL_, init)
      assert.equal(given[0], URL_)
      assert.equal(given[1], init)
      const [request] = tagged(new Request(URL_, init))
      assert.deepEqual([...request.headers], [...new Headers(init.headers)])
    }
  })

  test("is a copy of a Request, with its body, its signal, its referrer and its own headers", async () => {
    const stop = new AbortController()
    const original = new Request(URL_, {
      method: "POST", body: "hello", headers: { accept: "text/plain" }, referrerPolicy: "no-referrer", redirect: "manual",
      cache: "no-store", credentials: "include", keepalive: true, signal: stop.signal,
    })
    const [request, ...rest] = tagged(original)
    assert.deepEqual(rest, [])
    assert.deepEqual(Object.fromEntries(request.headers), {
      accept: "text/plain", "content-type": "text/plain;charset=UTF-8", "x-heartbeat": "true",
    })
    for (const name of /** @type {const} */ (["url", "method", "referrer", "referrerPolicy", "redirect", "cache", "credentials", "keepalive"])) {
      assert.equal(request[name], original[name], name)
    }
    assert.equal(original.headers.has("X-Heartbeat"), false)
    assert.equal(original.bodyUsed, true, "as fetch itself leaves it")
    assert.equal(await request.text(), "hello")
    stop.abort()
    assert.equal(request.signal.aborted, true)
  })

  test("lets init win over the Request it comes with", async () => {
    const original = new Request(URL_, { method: "POST", body: "old", headers: { accept: "text/plain" } })
    const [request] = tagged(original, { body: "new", headers: [["accept", "text/html"]] })
    assert.equal(request.headers.get("accept"), "text/html")
    assert.equal(request.headers.get("x-heartbeat"), "true")
    assert.equal(await request.text(), "new")
  })

  test("is not made of what is no request", () => {
    assert.throws(() => tagged(undefined))
    assert.throws(() => tagged(URL_, /** @type {any} */ ({ headers: 5 })))
  })
})
