/**
 * Properties that are shipped under shorter names. A wrong one would fail in the bundle alone, so what is told to others is compared here.
 */
import assert from "node:assert/strict"
import { readFileSync, readdirSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { test } from "node:test"
import { fileURLToPath } from "node:url"
import { names } from "../names.mjs"

/** The first words of lines such as `@property {string} [lang]` and `  readonly hidden: boolean`. @param {string} text @param {RegExp} lines */
const found = (text, lines) => new Set([...text.matchAll(lines)].map(([, name]) => name))

test("none of them is the browser's", () => {
  const require = createRequire(import.meta.url)
  const platform = `@typescript/typescript-${process.platform}-${process.arch}/package.json`
  const folder = dirname(createRequire(require.resolve("typescript/package.json")).resolve(platform))
  const texts = readdirSync(join(folder, "lib")).filter((name) => /^lib\.(dom|es)/.test(name)).map((name) => readFileSync(join(folder, "lib", name), "utf8"))
  const taken = found(texts.join("\n"), /^ +(?:readonly |get |set )?(\w+)\??[(:<]/gm)
  assert.ok(taken.has("addEventListener") && taken.has("hidden") && taken.has("flatMap"))
  assert.deepEqual(names.filter((name) => taken.has(name)), [])
})

test("none of them is an option, a part of a session, or a member of what is told", () => {
  const types = readFileSync(fileURLToPath(new URL("../src/types.js", import.meta.url)), "utf8")
  const inside = /@typedef \{object\} Host [^]*?@typedef \{Partial|@typedef \{object\} UI [^]*?@typedef/g
  const taken = found(types.replace(inside, ""), /@property \{.*?\} \[?(\w+)/g)
  assert.ok(taken.has("saveDrafts") && taken.has("expiresInMs") && taken.has("quiet"))
  assert.deepEqual(names.filter((name) => taken.has(name)), [])
})
