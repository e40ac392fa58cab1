/**
 * Properties that only our own modules call by name, so that they may be shipped under shorter ones. None of them is a name of the wire, of
 * what other tabs or the storage hold, of an option, a session, an event's detail or an effect; test/names.test.js sees to it that the
 * browser has none of them either.
 */
import { initial } from "./src/machine.js"

/** Of the machine's state, what is told or put together by name elsewhere. */
const open = ["options", "view", "at", "seq", "visibleMs", "activeMs", "failures"]
const state = Object.keys(initial({ view: "" })).filter((name) => !open.includes(name))
/** What the modules of the engine offer each other. */
const rooms =
  "begin clock collect cover covers depart depthPct dispatch emit enter flushInput follow forget hide " +
  "leave lift meet owed parts patienceMs say sealPage sources tabs tell"

export const names = [...state, ...rooms.split(" ")]
export const inner = RegExp(`^(${names.join("|")})$`)
