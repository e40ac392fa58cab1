import assert from "node:assert/strict"
import { afterEach, test } from "node:test"
import { isSaving } from "../src/saving.js"
import { replaceGlobals } from "./browser.js"

/** @type {() => void} */
let restore = () => {}
afterEach(() => restore())

/** Asks in a browser that has these, once it has had time to find its battery. @param {object} navigator */
const ask = async (navigator) => {
  restore = replaceGlobals({ navigator })
  const isIt = isSaving()
  const atOnce = !!isIt()
  await new Promise(setImmediate)
  return [atOnce, !!isIt()]
}
/** @param {object} battery */
const withBattery = (battery) => ({ getBattery: async () => battery })

test("a browser that tells nothing saves nothing", async () => {
  assert.deepEqual(await ask({}), [false, false])
  assert.deepEqual(await ask({ connection: { saveData: false } }), [false, false])
})

test("data are saved as soon as the browser says so, and no longer", async () => {
  const connection = { saveData: true }
  assert.deepEqual(await ask({ connection }), [true, true])
  restore = replaceGlobals({ navigator: { connection } })
  const isIt = isSaving()
  connection.saveData = false
  assert.equal(!!isIt(), false)
})

test("a battery is saved while it is low and not being charged", async () => {
  assert.deepEqual(await ask(withBattery({ charging: false, level: 0.1 })), [false, true])
  assert.deepEqual(await ask(withBattery({ charging: true, level: 0.1 })), [false, false])
  assert.deepEqual(await ask(withBattery({ charging: false, level: 0.8 })), [false, false])
})

test("a battery that may not be asked for is as good as full", async () => {
  const refusing = { getBattery: () => Promise.reject(new DOMException("no", "NotAllowedError")) }
  assert.deepEqual(await ask(refusing), [false, false])
})

test("the browser's own function is asked as its own", async () => {
  const navigator = {
    async getBattery() {
      if (this !== navigator) throw new TypeError("Illegal invocation")
      return { charging: false, level: 0.1 }
    },
  }
  assert.deepEqual(await ask(navigator), [false, true])
})
