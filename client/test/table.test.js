import { execFileSync } from "node:child_process"
import { test } from "node:test"
import { fileURLToPath } from "node:url"

test("the table and the diagram in the documents are what the machine does", () => {
  execFileSync(process.execPath, [fileURLToPath(new URL("../table.mjs", import.meta.url)), "--check"], { stdio: "pipe" })
})
