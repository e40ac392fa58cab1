// A NocoDB of its own for tests: keeps its data in the folder that NC_TOOL_DIR names, listens on loopback at the port given.
"use strict"

const express = require("express")
const { Noco } = require("nocodb")

const [, , port] = process.argv

const app = express()
const server = app.listen(Number(port), "127.0.0.1", async () => {
  app.use(await Noco.init({}, server, app))
})
