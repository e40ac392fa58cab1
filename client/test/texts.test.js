import assert from "node:assert/strict"
import { readFileSync, readdirSync } from "node:fs"
import { describe, test } from "node:test"
import { TEXTS, loadTexts } from "../src/texts.js"
import { replaceGlobals } from "./browser.js"

const folder = new URL("../src/texts/", import.meta.url)
const languages = readdirSync(folder).map((name) => name.replace(".json", ""))
const read = (/** @type {string} */ language) => JSON.parse(readFileSync(new URL(language + ".json", folder), "utf8"))
/** Every reason for which a session ends; the server says them in English itself. */
const REASONS = ["no_session", "idle", "absolute", "signed_out", "revoked", "replaced", "token_reuse", "provider"]

describe("the texts", () => {
  test("are whole in every language, with a sentence for each reason", () => {
    assert.deepEqual(languages.sort(), ["ar", "de", "es", "fr", "zh"])
    const names = [...new Set([...Object.keys(TEXTS), ...REASONS])].filter((name) => name !== "dir").sort()
    for (const language of languages) {
      const { dir = "ltr", ...texts } = read(language)
      assert.deepEqual(Object.keys(texts).sort(), names, language)
      assert.ok(Object.values(texts).every((text) => text && text === text.trim()), language)
      assert.equal(dir, language === "ar" ? "rtl" : "ltr")
      assert.equal(new Intl.Locale(texts.lang).language, language)
    }
  })

  test("are asked for where the page or its reader speaks one of these languages, and only there", async (t) => {
    /** @type {string[]} */
    const asked = []
    const document = { documentElement: { lang: "" } }
    const fetch = async (/** @type {string} */ url) => (asked.push(url), { ok: true, json: async () => read("de") })
    t.after(replaceGlobals({ document, navigator: { language: "de-CH" }, fetch }))
    assert.equal((await loadTexts({}))?.stay, "Angemeldet bleiben")
    document.documentElement.lang = "ZH-tw"
    await loadTexts({ endpoint: "/api" })
    await loadTexts({ lang: "fr" })
    for (const lang of ["en", "en-GB", "deu", "x", "it"]) assert.ok(!(await loadTexts({ lang })))
    assert.deepEqual(asked, ["/session/client/de.json", "/api/client/zh.json", "/session/client/fr.json"])
  })

  test("stay English when the file can't be had or is none", async () => {
    /** @type {(() => Promise<any>)[]} */
    const ways = [() => Promise.reject(new TypeError("Failed to fetch")), async () => new Response("<!doctype html>"), async () => new Response('{"title":"Not Found"}', { status: 404 })]
    for (const fetch of ways) {
      const restore = replaceGlobals({ fetch })
      assert.ok(!(await loadTexts({ lang: "de" })))
      restore()
    }
  })
})
