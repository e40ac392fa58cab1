import assert from "node:assert/strict"
import { test } from "node:test"
import { isAudible } from "../src/media.js"

const PLAYING = { paused: false, ended: false, muted: false, volume: 1, loop: false, srcObject: null }
const audible = (/** @type {object} */ changes) => isAudible(/** @type {any} */ ({ ...PLAYING, ...changes }))

test("what plays with sound and comes to an end is heard", () => {
  assert.equal(audible({}), true)
  assert.equal(audible({ volume: 0.01 }), true)
})

test("paused, over, muted, silenced or looping media is not", () => {
  for (const change of [{ paused: true }, { ended: true }, { muted: true }, { volume: 0 }, { loop: true }]) {
    assert.equal(audible(change), false, JSON.stringify(change))
  }
})

test("media without sound is not, in the words of each browser", () => {
  assert.equal(audible({ mozHasAudio: false }), false)
  assert.equal(audible({ mozHasAudio: true }), true)
  assert.equal(audible({ webkitAudioDecodedByteCount: 0 }), false)
  assert.equal(audible({ webkitAudioDecodedByteCount: 4_096 }), true)
  assert.equal(audible({ audioTracks: { length: 0 } }), false)
  assert.equal(audible({ audioTracks: { length: 2 } }), true)
})

test("a call is heard by its tracks, whatever was decoded", () => {
  const call = (/** @type {number} */ tracks) => ({ webkitAudioDecodedByteCount: 0, srcObject: { getAudioTracks: () => Array(tracks) } })
  assert.equal(audible(call(1)), true)
  assert.equal(audible(call(0)), false)
})
