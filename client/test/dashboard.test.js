// The dashboard's addresses, filters and times: what is pure of it.

import assert from "node:assert/strict"
import { test } from "node:test"
import { marksOf } from "../../src/stillhere/server/static/admin/charts/bars.js"
import { address, filterWords, narrowings, periodOf, periodWords, presetOf, previous, readFilter, toQuery, unitFor, wayOut } from "../../src/stillhere/server/static/admin/filters.js"
import { Live } from "../../src/stillhere/server/static/admin/live.js"
import { placeOf, visitPath, visitorPath } from "../../src/stillhere/server/static/admin/router.js"
import { clockOf, dayOf, daysIn, isZone, moment, say, setZone, shiftDays, shiftMonths, ticksBetween, zones } from "../../src/stillhere/server/static/admin/times.js"
import { averages } from "../../src/stillhere/server/static/admin/views/visitor.js"
import { SLOWLY_MS, follow } from "../../src/stillhere/server/static/admin/views/visits.js"
import { atMost, duration, share } from "../../src/stillhere/server/static/format.js"
import { replaceGlobals } from "./browser.js"

const filter = (/** @type {string} */ words) => readFilter(new URLSearchParams(words))
const place = (/** @type {string} */ path) => placeOf(new URL(path, "https://site.example"))

test("every view has an address, and what is none of them is left to the browser", () => {
  assert.deepEqual(["", "/visits", "/visitors", "/pages", "/time", "/mirrors", "/audit", "/wall"].map(path => place(`/admin${path}`)?.name),
    ["now", "visits", "visitors", "pages", "time", "mirrors", "audit", "wall"])
  for (const path of ["/", "/admin/login", "/admin/visits.csv", "/admin/api/now", "/administer", "/admin/visits/a/b"]) assert.equal(place(path), null, path)
})

test("any name survives its address", () => {
  for (const name of ["a@b.example", "a/b?c#d%", "مستثمر@صندوق.example", "%00", "..a", " ", "<img src=x>"]) {
    assert.equal(place(visitorPath(name))?.id, name)
    assert.equal(place(visitorPath(name))?.name, "visitor")
  }
  assert.equal(place(visitPath("abc.1"))?.id, "abc.1")
  for (const name of [".", ".."]) assert.equal(place(visitorPath(name))?.query.get("visitor"), name)
})

test("a filter is what is in the address, and nothing else", () => {
  const words = "visitor=a%40b.example&page=%2Fx&from=2026-11-01&to=2026-11-30&zone=Asia%2FKolkata&min=30s&max=5m&ended=leave&with=internal&verified=true"
  assert.equal(String(toQuery(filter(words))), words)
  assert.equal(address("/admin/visits", filter("unknown=1&visitor=++")), "/admin/visits")
  assert.equal(address("/admin/time", filter("zone=UTC"), { unit: "week", sort: "" }), "/admin/time?zone=UTC&unit=week")
  assert.deepEqual(narrowings(filter("ended=leave,lost&min=30s&from=2026-11-01")).map(one => [one.key, one.value]), [["min", "30s"], ["ended", "left, lost"]])
})

test("presets are days that end today, and are recognized again", () => {
  const today = "2026-03-31"
  assert.deepEqual(periodOf("7d", today), { from: "2026-03-25", to: today })
  assert.deepEqual(periodOf("12m", today), { from: "2025-04-01", to: today })
  for (const preset of /** @type {const} */ (["today", "7d", "30d", "12m", "all"])) assert.equal(presetOf({ ...filter(""), ...periodOf(preset, today) }, today), preset)
  assert.equal(presetOf(filter("from=2026-03-01&to=2026-03-02"), today), null)
})

test("the period before has as many days and ends where this one begins", () => {
  const before = previous(filter("from=2026-03-01&to=2026-03-31&visitor=a"))
  assert.deepEqual([before?.from, before?.to, before?.visitor], ["2026-01-29", "2026-02-28", "a"])
  assert.equal(daysIn("2026-01-29", "2026-02-28"), daysIn("2026-03-01", "2026-03-31"))
  for (const none of ["", "to=2026-03-01", "from=2026-03-02&to=2026-03-01", "from=2026-03-01T10:00:00Z&to=2026-03-02"]) assert.equal(previous(filter(none)), null, none)
})

test("a period that is not over is set against as much of the one before, by the same clocks", () => {
  const now = Date.parse("2026-11-28T02:18:40Z")
  const before = (/** @type {string} */ words) => {
    const found = previous(filter(words), now)
    return found && [found.from, found.to]
  }
  setZone("Europe/Berlin")
  assert.deepEqual(before("from=2026-11-28&to=2026-11-28"), ["2026-11-27", "2026-11-27T03:18:40"])
  assert.deepEqual(before("from=2026-11-22"), ["2026-11-15", "2026-11-21T03:18:40"])
  assert.deepEqual(before("from=2026-11-01&to=2026-11-30"), ["2026-10-02", "2026-10-29T03:18:40"])
  assert.deepEqual(before("from=2026-11-26&to=2026-11-27"), ["2026-11-24", "2026-11-25"])
  assert.equal(before("from=2026-12-01&to=2026-12-31"), null, "what has not begun")
  assert.equal(previous(filter("from=2026-11-28&to=2026-11-28"), Date.parse("2026-11-27T23:00:00Z")), null, "what begins now")
  assert.match(periodWords({ from: "2026-11-27", to: "2026-11-27T03:18:40" }), /27.* until 03:18$/)
  setZone("UTC")
})

test("what is filtered is told in words, and where nothing is found so is the way out", () => {
  assert.equal(filterWords(filter("ended=leave&min=30s"), "Asia/Kolkata"), "all time, days of Asia/Kolkata; at least 30s; ended left")
  const ways = ["zone=UTC", "from=2026-11-01", "min=30s", "from=2026-11-01&min=30s"].map(words => wayOut(filter(words), "Nobody was here."))
  assert.deepEqual(ways, ["Nobody was here.", "Take a longer period.", "Clear the filter to see more.", "Take a longer period, or clear the filter."])
})

test("buckets suit the period", () => {
  const unit = (/** @type {number} */ days) => unitFor(filter(`from=${shiftDays("2026-12-31", 1 - days)}&to=2026-12-31`))
  assert.deepEqual([1, 2, 3, 93, 94, 400, 401].map(unit), ["hour", "hour", "day", "day", "week", "week", "month"])
  assert.equal(unitFor(filter("")), "month")
})

test("the ticks of an axis are round by the clocks of the zone, also where those are turned", () => {
  const ticks = (/** @type {string} */ zone, /** @type {string} */ from, /** @type {string} */ to, most = 8) => {
    setZone(zone)
    return ticksBetween(Date.parse(from), Date.parse(to), most).map(at => `${dayOf(at)} ${say("clock", at)}`)
  }
  assert.deepEqual(ticks("Asia/Kolkata", "2026-11-26T01:10:00Z", "2026-11-26T06:40:00Z"), ["07:00", "08:00", "09:00", "10:00", "11:00", "12:00"].map(clock => `2026-11-26 ${clock}`))
  assert.deepEqual(ticks("Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z", 5), ["2026-10-25 00:00", "2026-10-25 12:00", "2026-10-26 00:00", "2026-10-26 12:00"])
  assert.deepEqual(ticks("America/New_York", "2026-03-01T00:00:00Z", "2026-03-29T00:00:00Z", 4), ["2026-03-07 00:00", "2026-03-14 00:00", "2026-03-21 00:00", "2026-03-28 00:00"])
  assert.deepEqual(ticks("UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), ["2026-01-01 00:00"])
  setZone("UTC")
})

test("no word of an axis is cut off at its end", () => {
  const starts = (/** @type {number} */ days) => Array.from({ length: days }, (_, i) => `${shiftDays("2026-11-28", i + 1 - days)}T00:00:00Z`)
  const last = (/** @type {number} */ days, /** @type {number} */ width) => days - 1 - starts(days).indexOf([...marksOf(starts(days), "day", width).keys()].pop() ?? "")
  for (const [days, width] of [[91, 1200], [91, 342], [61, 700], [3, 300], [1, 300]]) assert.ok((last(days, width) + 0.5) * (width / days) >= 22, `${days} days in ${width} px`)
  assert.equal(last(3, 300), 0)
})

test("days are counted by the calendar, whatever a zone does to its clocks", () => {
  assert.equal(shiftDays("2026-03-28", 2), "2026-03-30")
  assert.equal(shiftMonths("2024-02-29", -12), "2023-02-28")
  assert.equal(shiftMonths("2026-01-31", 1), "2026-02-28")
  assert.equal(dayOf("2026-10-25T22:30:00Z", "Europe/Berlin"), "2026-10-25")
  assert.equal(dayOf("2026-10-24T22:30:00Z", "Europe/Berlin"), "2026-10-25")
  assert.equal(dayOf("2026-12-31T23:59:59Z", "Pacific/Kiritimati"), "2027-01-01")
})

test("clocks are those of the chosen zone, and a zone that is none is UTC", () => {
  setZone("Asia/Kolkata")
  assert.equal(say("clock", "2026-01-01T00:00:00Z"), "05:30")
  assert.equal(clockOf("2026-01-01T00:00:09Z"), "05:30:09")
  setZone("No/Where")
  assert.equal(say("clock", "2026-01-01T00:00:00Z"), "00:00")
  assert.equal(say("clock", "no instant"), "–")
  assert.match(moment("2001-01-01T00:00:00Z"), /2001/)
  assert.ok(isZone("Europe/Berlin") && !isZone("No/Where"))
  assert.deepEqual(zones(["Asia/Kolkata", "No/Where"]).slice(0, 2), ["Asia/Kolkata", "UTC"])
})

test("a bound is never told smaller than it is", () => {
  assert.deepEqual([undefined, 0, 1, 16_001, 3_599_001, 3_600_001, 86_400_001].map(atMost).map(words => words.replaceAll("\u00a0", " ")),
    ["–", "nothing", "≤ 1 s", "≤ 17 s", "≤ 1 h 00 m", "≤ 1 h 01 m", "≤ 1 d 01 h"])
  assert.equal(duration(16_001), "16\u00a0s", "what is told for sure is rounded down")
})

test("a share of a whole is nothing only where it is nothing", () => {
  assert.deepEqual([[0, 0], [0, 900], [3, 900], [5, 900], [900, 900]].map(([part, whole]) => share(part, whole).replaceAll("\u00a0", " ")), ["0 %", "0 %", "< 1 %", "1 %", "100 %"])
})

test("what is added up over many visits is asked for again after a pause, once, however much happens", t => {
  t.mock.timers.enable({ apis: ["setTimeout"] })
  t.after(replaceGlobals({ window: globalThis }))
  let loads = 0
  const { onVisits, leave } = follow({ load: async () => { loads += 1 } }, { pause: SLOWLY_MS })
  onVisits(null)
  t.mock.timers.tick(SLOWLY_MS - 1)
  onVisits([])
  assert.equal(loads, 0)
  t.mock.timers.tick(1)
  assert.equal(loads, 1)
  onVisits(null)
  leave()
  t.mock.timers.tick(SLOWLY_MS)
  assert.equal(loads, 1, "who has left asks no more")
})

test("every page of a visitor has its average, also where there are more pages than a list holds", async t => {
  const page = (/** @type {string} */ name, /** @type {number} */ visitors) => /** @type {any} */ ({ page: name, visitors, visible: { sum: 60_000 } })
  /** @type {string[]} */
  const asked = []
  t.after(replaceGlobals({ fetch: async (/** @type {string} */ url) => {
    const query = new URL(url, "https://site.example").searchParams
    asked.push(`${query.get("page") ?? "all"} of ${query.get("from")}`)
    return Response.json({ pages: query.has("page") ? [page(query.get("page") ?? "", 3)] : [page("/most", 2), page("/other", 1)] })
  } }))
  const found = await averages([page("/most", 1), page("/rare", 1)], { asked: new URLSearchParams("from=2026-11-01"), signal: new AbortController().signal })
  assert.deepEqual([...found], [["/most", 30_000], ["/rare", 20_000]])
  assert.deepEqual(asked, ["all of 2026-11-01", "/rare of 2026-11-01"])
})

test("a stream that has fallen silent is live for less than fifteen seconds", async t => {
  t.mock.timers.enable({ apis: ["setTimeout"] })
  /** @type {any} */
  let stream
  /** @type {string[]} */
  const told = []
  const now = { here: [], totals: {} }
  let answer = async () => Response.json(now)
  class EventSource extends EventTarget {
    static OPEN = 1
    readyState = 1
    constructor() {
      super()
      stream = this
    }

    close() {}
  }
  const signal = new AbortController()
  t.after(replaceGlobals({
    window: globalThis, document: { hidden: false }, EventSource, fetch: () => answer(),
    AbortSignal: { timeout: (/** @type {number} */ ms) => (setTimeout(() => signal.abort(), ms), signal.signal), any: (/** @type {AbortSignal[]} */ [one]) => one },
  }))
  const live = new Live({ now() {}, visits() {}, health: health => told.push(health) })
  await live.ask()
  stream.dispatchEvent(new Event("open"))
  assert.equal(told.at(-1), "live")
  answer = () => new Promise((_, fail) => signal.signal.addEventListener("abort", fail))
  let waited = 0
  for (; told.at(-1) === "live" && waited < 60; waited += 1) {
    t.mock.timers.tick(1000)
    await new Promise(setImmediate)
  }
  assert.ok(waited < 15, `${waited} s`)
  assert.equal(told.at(-1), "trouble")
  answer = async () => Response.json(now)
  await live.ask()
  assert.equal(told.at(-1), "live", "the stream was there all the time")
  live.close()
})
