import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { createClock } from "../src/clock.js"
import { signInUrl } from "../src/ending.js"

describe("the clock", () => {
  const at = { mono: 0, wall: 1e12 }
  const clock = createClock(() => at.mono, () => at.wall)
  const pass = (/** @type {number} */ mono, wall = mono) => {
    at.mono += mono
    at.wall += wall
    return clock()
  }

  test("adds sleep that the monotonic clock left out, ignores the wall running back, and forgives small drift", () => {
    assert.equal(pass(1_000), 1_000)
    assert.equal(pass(1_000, 3_601_000), 3_602_000)
    assert.equal(pass(1_000, -7_200_000), 3_603_000)
    assert.equal(pass(1_000), 3_604_000)
    assert.equal(pass(1_000, 2_500), 3_605_000)
  })
})

describe("the way to the sign-in page", () => {
  test("carries the way back and the reason", () => {
    assert.equal(signInUrl("/login", "https://a.example/x?y=1#z", "idle"), "https://a.example/login?next=%2Fx%3Fy%3D1&reason=idle")
    assert.equal(signInUrl("/login?lang=de", "https://a.example/", "idle"), "https://a.example/login?lang=de&next=%2F&reason=idle")
  })

  test("never leads in circles", () => {
    assert.equal(signInUrl("/", "https://a.example/", "no_session"), null)
    assert.equal(signInUrl("/", "https://a.example/?next=%2Fx&reason=idle", "idle"), null)
    assert.equal(signInUrl("/", "https://a.example/", "idle"), "https://a.example/?next=%2F&reason=idle")
  })
})
