import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { describe, test } from "node:test"
import { countdown } from "../src/machine.js"
import { createPage } from "./page.js"

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
})
