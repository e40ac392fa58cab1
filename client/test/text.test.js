import assert from "node:assert/strict"
import { test } from "node:test"
import { plain } from "../src/text.js"

test("ordinary words pass unchanged, whatever their script", () => {
  for (const words of ["", "/confidential", "Größe – 大きさ – גודל", "👩‍👩‍👧 at home"]) assert.equal(plain(words, 300), words)
})

test("control characters and halves of a pair become spaces", () => {
  assert.equal(plain("a\nb\u0000c\u009fd", 300), "a b c d")
  assert.equal(plain("half \ud83d and \udc69", 300), "half   and  ")
})

test("what is too long is cut between characters, never within one", () => {
  const cut = plain("👩".repeat(400), 300)
  assert.equal([...cut].length, 300)
  assert.ok(!/\p{Cs}/u.test(cut))
})
