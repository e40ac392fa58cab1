/**
 * Measures what the client adds to a page beside its peers, all in the same way, and writes the table into docs/client.md: `make sizes`.
 * Peers are installed into a folder that is thrown away. Frameworks they need are not counted, for they are there anyway.
 */
import { execFileSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { build } from "esbuild"

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url))
const FRAMEWORKS = ["react", "react-dom", "rxjs", "@angular/*"]

/** What to import, what that is, what it needs. @type {[string, string, string][]} */
const OURS = [
  [`export { start } from "stillhere/beats"`, "stillhere/beats: beats, activity, tabs", ""],
  [`export { start } from "stillhere/headless"`, "stillhere/headless: and offline, push, ending", ""],
  [`export { start } from "stillhere"`, "stillhere: and the dialog", ""],
  [`export { useHeartbeat } from "stillhere/react"`, "stillhere/react: useHeartbeat", "React"],
  [`export { useSession } from "stillhere/react"`, "stillhere/react: useSession", "React"],
]
/** Package, version, what to import, what it does, what it needs. @type {[string, string, string, string, string][]} */
const PEERS = [
  ["react-idle-timer", "5.7.3", `export { useIdleTimer } from "react-idle-timer"`, "idle timer, prompt, tabs", "React"],
  ["@ng-idle/core", "16.0.0", `export * from "@ng-idle/core"`, "idle timer, warning, tabs", "Angular"],
  ["@ng-idle/keepalive", "16.0.0", `export * from "@ng-idle/core"; export * from "@ng-idle/keepalive"`, "and pings", "Angular"],
  ["supertokens-website", "20.1.6", `export { default } from "supertokens-website"`, "token refresh", ""],
  ["page-lifecycle", "0.1.2", `export { default } from "page-lifecycle"`, "lifecycle events", ""],
  ["timeme.js", "2.1.0", `export * from "timeme.js"`, "visible time", ""],
]

const scratch = mkdtempSync(join(tmpdir(), "stillhere-sizes-"))
const manifest = JSON.parse(readFileSync(here("package.json"), "utf8"))

/** @param {string} contents */
async function measure(contents) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: scratch },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    legalComments: "none",
    define: { "process.env.NODE_ENV": '"production"' },
    external: FRAMEWORKS,
    write: false,
  })
  return sizesOf(outputFiles[0].contents)
}

const sizesOf = (/** @type {Uint8Array} */ code) => [code.length, gzipSync(code, { level: 9 }).length]

writeFileSync(join(scratch, "package.json"), JSON.stringify({ private: true }))
const wanted = PEERS.map(([name, version]) => `${name}@${version}`)
const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--legacy-peer-deps"]
execFileSync("npm", ["install", ...quiet, ...wanted], { cwd: scratch, stdio: ["ignore", "ignore", "inherit"] })
mkdirSync(join(scratch, "node_modules/stillhere"))
execFileSync(process.execPath, ["build.mjs", "--dist", join(scratch, "node_modules/stillhere/dist")], { cwd: here("."), stdio: "ignore" })
cpSync(here("package.json"), join(scratch, "node_modules/stillhere/package.json"))

const number = new Intl.NumberFormat("en")
const row = (/** @type {(string | number)[]} */ ...cells) =>
  `| ${cells.map((cell) => (typeof cell === "number" ? number.format(cell) : cell)).join(" | ")} |`
const rows = [row("what", "version", "minified, B", "gzip, B", "beside"), "|---|---|--:|--:|---|"]
for (const [contents, name, needs] of OURS) rows.push(row(`**${name}**`, manifest.version, ...(await measure(contents)), needs))
const script = sizesOf(readFileSync(here("../src/stillhere/http/static/client.js")))
rows.push(row("**client.js, as it is served**", manifest.version, ...script, ""))
for (const [name, version, contents, what, needs] of PEERS) rows.push(row(`${name}: ${what}`, version, ...(await measure(contents)), needs))
rmSync(scratch, { recursive: true })

const table = rows.join("\n")
const document = here("../docs/client.md")
const marked = /(?<=<!-- sizes -->\n)[^]*(?=<!-- end of sizes -->)/
writeFileSync(document, readFileSync(document, "utf8").replace(marked, table + "\n"))
console.log(table)
