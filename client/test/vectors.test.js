import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { describe, test } from "node:test"
import { countdown } from "../src/machine.js"
import { answer, createPage } from "./page.js"

/** @param {string} name */
const vectors = (name) => JSON.parse(readFileSync(new URL(`../../spec/vectors/${name}.json`, import.meta.url), "utf8")).cases

describe("the vectors that both languages run", () => {
  test("ramp: the client beats exactly nextBeatMs of visible time after an answer", () => {
    for (const { visibleMs, intervalMs, nextBeatMs } of vectors("ramp")) {
      const long = { expiresInMs: 1e10, warnInMs: 1e10 }
      const page = createPage().on("visible").answer({ ...long, nextBeatMs: 1e9 }).wait(visibleMs).on("beat")
      page.answer({ ...long, nextBeatMs }).clear()
      page.wait(nextBeatMs - 1)
      assert.deepEqual(page.sent(), [], `${visibleMs} of ${intervalMs}: too early`)
      page.wait(1)
      assert.deepEqual(page.sent().map((body) => body.visibleMs), [visibleMs + nextBeatMs])
    }
  })

  test("activity: inputs and visibility make the same totals", () => {
    for (const { name, events, windowMs, askMs, expect } of vectors("activity")) {
      const page = createPage({ activityWindow: windowMs }).replies({ type: "failed", retryAfterMs: 1e9 })
      const from = page.now
      for (const { atMs, type } of events) page.wait(from + atMs - page.now).on(type)
      page.wait(from + askMs - page.now)
      const { visibleMs, activeMs, idleMs } = page.look()
      assert.deepEqual({ visibleMs, activeMs, idleMs }, expect, name)
    }
  })

  test("countdown: an answer some time later", () => {
    for (const { answer, elapsedMs, expect } of vectors("countdown")) {
      assert.deepEqual(countdown(answer, elapsedMs), expect, `after ${elapsedMs}`)
    }
  })

  test("timelines: a page that lives the stay says the very messages that the server was given", () => {
    const [{ name, steps }] = vectors("timelines")
    const page = createPage()
    const from = page.now
    const left = steps.map((/** @type {any} */ step) => step.expect)
    page.replies(() => ({ type: "answer", answer: answer(left.shift()) })).on("visible")
    for (let second = 0; second <= 250; second++) page.wait(from + second * 1_000 - page.now).on("input")
    page.on("pagehide")
    const said = page.all("send", "beacon").map(({ body }) => body)
    const given = steps.flatMap((/** @type {any} */ step) => step.beats)
    const facts = ({ kind = "beat", seq = 0, visibleMs = 0, lifecycle = "" }) => ({ kind, seq, visibleMs, lifecycle })
    assert.deepEqual(said.map(facts), given.map(facts), name)
    // An input at the very instant of a beat may be told by the next one.
    for (const [i, { activeMs }] of said.entries()) assert.ok(given[i].activeMs - activeMs <= 1_000 && activeMs <= given[i].activeMs, name)
  })
})
